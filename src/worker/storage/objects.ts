const CACHE_CONTROL = "public, max-age=31536000, immutable";

export type ObjectStore = ReturnType<typeof objectStore>;

/**
 * Image bytes in R2, addressed by content inside their generation's folder: a repeated copy writes the same bytes to
 * the same key, and what nobody refers to any more can be deleted without asking who might just be writing it.
 */
export function objectStore(bucket: Pick<R2Bucket, "get" | "head" | "put" | "list" | "delete">) {
  return {
    key: (generationId: string, sha256: string, extension: string) => `images/${generationId}/${sha256}.${extension}`,

    async put(key: string, bytes: ArrayBuffer, contentType: string, sha256: string): Promise<void> {
      // R2 refuses the write when the bytes do not have this digest.
      await bucket.put(key, bytes, { sha256, httpMetadata: { contentType, cacheControl: CACHE_CONTROL } });
    },

    /** The bytes, or a part of them; null when the object is gone. */
    async get(key: string, range?: { offset: number; length: number }): Promise<ReadableStream | null> {
      const object = await (range ? bucket.get(key, { range }) : bucket.get(key));
      return object?.body ?? null;
    },

    /** The keys in a generation's folder. */
    async list(generationId: string): Promise<string[]> {
      const { objects } = await bucket.list({ prefix: `images/${generationId}/` });
      return objects.map(({ key }) => key);
    },

    /** Answers when the bucket does. */
    async ping(): Promise<void> {
      await bucket.head("images/");
    },

    async remove(keys: string[]): Promise<void> {
      if (keys.length > 0) await bucket.delete(keys);
    },
  };
}
