declare module "*.css";

/** Made by the build from docs/study and docs/study.md (scripts/lib/web.mjs). */
declare module "study:data" {
  export const tables: { name: string; data: Record<string, unknown> }[];
  export const sheets: { name: string; url: string; alt: string; width: number; height: number }[];
}
