/** What wrangler.toml binds. */
export interface Bindings {
  DB: D1Database;
  IMAGES: R2Bucket;
  GENERATIONS: Queue<GenerationMessage>;
  WEBHOOKS: Queue<DeliveryMessage>;
  GENERATION: DurableObjectNamespace<import("./generation/object.ts").GenerationObject>;
  LIMITS: DurableObjectNamespace<import("./limits/object.ts").LimitsObject>;
  COARSE_LIMIT: RateLimit;
  CHAT: DurableObjectNamespace<import("./chat/object.ts").ChatTaskObject>;
  /** The built page (scripts/lib/web.mjs). */
  ASSETS: Fetcher;
  /** Hands a page on this machine its key; only `npm start` binds it. */
  DEV_SESSION?: Fetcher;
  /** Figures for dashboards; a deployment may leave it out. */
  METRICS?: AnalyticsEngineDataset;
  PUBLIC_URL: string;
}

/** A queue message is an id only: the row in D1 is the truth. */
export interface GenerationMessage {
  id: string;
  /** Sent with the row, for the case that its maker died. */
  net?: true;
}

export interface DeliveryMessage {
  delivery: string;
}

declare global {
  namespace Cloudflare {
    interface Env extends Bindings {}
  }
}
