export * from "./accounts.ts";
export * from "./events.ts";
export * from "./generation.ts";
export * from "./ids.ts";
export * from "./keys.ts";
export * from "./models.ts";
export * from "./problem.ts";
export * from "./usage.ts";
