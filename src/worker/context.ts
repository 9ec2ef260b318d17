import type { Context } from "hono";
import type { Deps } from "./deps.ts";
import type { Bindings } from "./env.ts";
import type { KnownKey } from "./storage/keys.ts";

/** What middleware leaves for the routes. */
export interface AppEnv {
  Bindings: Bindings;
  Variables: {
    requestId: string;
    deps: Deps;
    /** Set by `authorize`. */
    key: KnownKey;
    /** What a failed request was refused for, for its log line. */
    code: string;
    /** The generation that it is about, where the path does not say. */
    generation: string;
    /** What the cache had to do with it: what `Cache-Status` says, or `replayed`. */
    cache: string;
    /** Which rule of a policy it broke. */
    rule: string;
  };
}

export type AppContext = Context<AppEnv>;
