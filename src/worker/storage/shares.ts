import type { GenerationRow } from "./generation-row.ts";
import { type ImageColumns, type ImageRow, parseImage } from "./images.ts";

/** A shared image with what its page may tell. */
export interface SharedImage {
  image: ImageRow;
  showPrompt: boolean;
  generation: Pick<GenerationRow, "prompt" | "model" | "adapter" | "createdAt">;
}

export type ShareStore = ReturnType<typeof shareStore>;

/** The public pages of images: columns of the table `images`, so that they end with it. */
export function shareStore(db: D1Database) {
  return {
    /** Gives an account's image a page, or changes the one that it has; null when there is no such image. */
    async share(
      accountId: string,
      { generationId, position }: { generationId: string; position: number },
      { token, showPrompt, at }: { token: string; showPrompt: boolean; at: number },
    ): Promise<ImageRow | null> {
      const row = await db
        .prepare(
          `UPDATE images SET share_token = COALESCE(share_token, ?4), share_prompt = ?5, shared_at = COALESCE(shared_at, ?6)
             WHERE generation_id = ?1 AND position = ?2 AND flagged = 0
               AND EXISTS (SELECT 1 FROM generations WHERE id = ?1 AND account_id = ?3) RETURNING *`,
        )
        .bind(generationId, position, accountId, token, showPrompt ? 1 : 0, at)
        .first<ImageColumns>();
      return row && parseImage(row);
    },

    /** Ends an image's page, if it has one. */
    async unshare(accountId: string, generationId: string, position: number): Promise<void> {
      await db
        .prepare(
          `UPDATE images SET share_token = NULL, share_prompt = NULL, shared_at = NULL WHERE generation_id = ?1
             AND position = ?2 AND EXISTS (SELECT 1 FROM generations WHERE id = ?1 AND account_id = ?3)`,
        )
        .bind(generationId, position, accountId)
        .run();
    },

    async byToken(token: string): Promise<SharedImage | null> {
      const row = await db
        .prepare(
          `SELECT images.*, prompt, model, adapter_id, adapter_scale, generations.created_at AS made_at
             FROM images JOIN generations ON generations.id = generation_id WHERE share_token = ?`,
        )
        .bind(token)
        .first<ImageColumns & SharedColumns>();
      if (!row) return null;
      return {
        image: parseImage(row),
        showPrompt: row.share_prompt === 1,
        generation: {
          prompt: row.prompt,
          model: row.model,
          adapter: row.adapter_id === null ? null : { id: row.adapter_id, scale: row.adapter_scale ?? 1 },
          createdAt: row.made_at,
        },
      };
    },
  };
}

interface SharedColumns {
  prompt: string;
  model: string;
  adapter_id: string | null;
  adapter_scale: number | null;
  made_at: number;
}
