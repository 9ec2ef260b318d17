/** What is kept of one image; its bytes lie in R2 under `objectKey`. */
export interface StoredImage {
  /** 128 random bits, lower-case hex: whoever has it may see the image. */
  token: string;
  /** Place among the generation's images, from 0. */
  position: number;
  objectKey: string;
  sha256: string;
  extension: string;
  contentType: string;
  bytes: number;
  width: number;
  height: number;
  seed: number;
  flagged: boolean;
}

export interface ImageRow extends StoredImage {
  generationId: string;
  /** Its public page, if its owner has shared it. */
  share: { token: string; showPrompt: boolean; at: number } | null;
}

/** When its generation was made, and after how many days it goes. */
export interface Age {
  madeAt: number;
  imagesDays: number | null;
  generationsDays: number | null;
}

export type ImageStore = ReturnType<typeof imageStore>;

/** The table `images`, which only a successful generation writes (`generationStore.succeed`). */
export function imageStore(db: D1Database) {
  return {
    /** With what its account says about its age. */
    async byToken(token: string): Promise<(ImageRow & Age) | null> {
      const row = await db
        .prepare(
          `SELECT images.*, generations.created_at AS made_at, accounts.images_days, accounts.generations_days
             FROM images JOIN generations ON generations.id = generation_id
             JOIN accounts ON accounts.id = account_id WHERE token = ?`,
        )
        .bind(token)
        .first<ImageColumns & { made_at: number; images_days: number | null; generations_days: number | null }>();
      if (!row) return null;
      const { made_at: madeAt, images_days: imagesDays, generations_days: generationsDays } = row;
      return { ...parseImage(row), madeAt, imagesDays, generationsDays };
    },

    /** Every image of these generations, grouped by generation and in order. */
    async of(generationIds: string[]): Promise<Map<string, ImageRow[]>> {
      const grouped = new Map<string, ImageRow[]>();
      if (generationIds.length === 0) return grouped;
      const { results } = await db
        .prepare(
          "SELECT * FROM images WHERE generation_id IN (SELECT value FROM json_each(?)) ORDER BY generation_id, position",
        )
        .bind(JSON.stringify(generationIds))
        .all<ImageColumns>();
      for (const row of results) {
        const image = parseImage(row);
        const group = grouped.get(image.generationId);
        if (group) group.push(image);
        else grouped.set(image.generationId, [image]);
      }
      return grouped;
    },

    /** Which of these objects some image is made of. */
    async referenced(objectKeys: string[]): Promise<Set<string>> {
      const { results } = await db
        .prepare("SELECT DISTINCT object_key FROM images WHERE object_key IN (SELECT value FROM json_each(?))")
        .bind(JSON.stringify(objectKeys))
        .all<{ object_key: string }>();
      return new Set(results.map(({ object_key }) => object_key));
    },
  };
}

export interface ImageColumns {
  token: string;
  generation_id: string;
  position: number;
  object_key: string;
  sha256: string;
  extension: string;
  content_type: string;
  bytes: number;
  width: number;
  height: number;
  seed: number;
  flagged: number;
  share_token: string | null;
  share_prompt: number | null;
  shared_at: number | null;
}

// An object, so that the compiler misses a name.
const NAMES: Record<keyof ImageColumns, true> = {
  token: true,
  generation_id: true,
  position: true,
  object_key: true,
  sha256: true,
  extension: true,
  content_type: true,
  bytes: true,
  width: true,
  height: true,
  seed: true,
  flagged: true,
  share_token: true,
  share_prompt: true,
  shared_at: true,
};

/** An SQL expression: a row of `images` as a JSON object that `parseImage` reads. */
export const IMAGE_JSON = `json_object(${Object.keys(NAMES)
  .map((name) => `'${name}', ${name}`)
  .join(", ")})`;

/** Column values in the order of `generationStore.succeed`. */
export function imageRow(image: StoredImage): unknown[] {
  return [
    image.token,
    image.position,
    image.objectKey,
    image.sha256,
    image.extension,
    image.contentType,
    image.bytes,
    image.width,
    image.height,
    image.seed,
    image.flagged ? 1 : 0,
  ];
}

export function parseImage(row: ImageColumns): ImageRow {
  return {
    generationId: row.generation_id,
    token: row.token,
    position: row.position,
    objectKey: row.object_key,
    sha256: row.sha256,
    extension: row.extension,
    contentType: row.content_type,
    bytes: row.bytes,
    width: row.width,
    height: row.height,
    seed: row.seed,
    flagged: row.flagged === 1,
    share:
      row.share_token === null
        ? null
        : { token: row.share_token, showPrompt: row.share_prompt === 1, at: row.shared_at ?? 0 },
  };
}
