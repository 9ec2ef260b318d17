import type { Parameters, Reading, Status } from "../../contract/generation.ts";

/** One row of `generations`, its JSON columns parsed; times are milliseconds since 1970. */
export interface GenerationRow {
  id: string;
  accountId: string;
  keyId: string;
  status: Status;
  model: string;
  adapter: { id: string; scale: number } | null;
  prompt: string;
  negativePrompt: string | null;
  parameters: Parameters;
  user: string | null;
  metadata: Record<string, string>;
  createdAt: number;
  deadlineAt: number;
  /** Until then the row is a dispatcher's, or rests. */
  claimedUntil: number | null;
  dispatchedAt: number | null;
  /** Which runner has it; null of rows from before runners had names. */
  runner: string | null;
  /** What the runner calls it, where that is not our id. */
  predictionId: string | null;
  attempts: number;
  startedAt: number | null;
  completedAt: number | null;
  runMs: number | null;
  reading: Reading | null;
  notice: string | null;
  error: { code: string; message: string } | null;
  /** Whether the limits object holds a place for it. */
  metered: boolean;
  /** Whether its pictures were drawn for another request. */
  cached: boolean;
  /** What its pixels depend on; null: they are nobody else's. */
  cacheKey: string | null;
  /** The generation under way whose pictures it will share. */
  leaderId: string | null;
  /** Who is told of its end, beside the account's endpoints. */
  webhook: { url: string; events: string[] } | null;
  /** How many previews of each picture are wanted. */
  previews: number;
}

export const UNFINISHED = "status IN ('queued', 'running')";

/** Generations whose pictures can be had by their cache key. */
export const DONE = "status = 'succeeded' AND cache_key";
/** Those whose pictures can be waited for; followers have none of their own. */
export const LEADING = `${UNFINISHED} AND leader_id IS NULL AND cache_key`;

export interface Columns {
  id: string;
  account_id: string;
  key_id: string;
  status: Status;
  model: string;
  adapter_id: string | null;
  adapter_scale: number | null;
  prompt: string;
  negative_prompt: string | null;
  parameters: string;
  user: string | null;
  metadata: string;
  created_at: number;
  deadline_at: number;
  claimed_until: number | null;
  dispatched_at: number | null;
  runner: string | null;
  prediction_id: string | null;
  attempts: number;
  started_at: number | null;
  completed_at: number | null;
  run_ms: number | null;
  reading: string | null;
  notice: string | null;
  error_code: string | null;
  error_message: string | null;
  metered: number;
  cached: number;
  cache_key: string | null;
  leader_id: string | null;
  webhook: string | null;
  previews: number;
}

export function parse(row: Columns): GenerationRow {
  return {
    id: row.id,
    accountId: row.account_id,
    keyId: row.key_id,
    status: row.status,
    model: row.model,
    adapter: row.adapter_id === null ? null : { id: row.adapter_id, scale: row.adapter_scale ?? 1 },
    prompt: row.prompt,
    negativePrompt: row.negative_prompt,
    parameters: JSON.parse(row.parameters),
    user: row.user,
    metadata: JSON.parse(row.metadata),
    createdAt: row.created_at,
    deadlineAt: row.deadline_at,
    claimedUntil: row.claimed_until,
    dispatchedAt: row.dispatched_at,
    runner: row.runner,
    predictionId: row.prediction_id,
    attempts: row.attempts,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    runMs: row.run_ms,
    reading: row.reading === null ? null : JSON.parse(row.reading),
    notice: row.notice,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "" },
    metered: row.metered === 1,
    cached: row.cached === 1,
    cacheKey: row.cache_key,
    leaderId: row.leader_id,
    webhook: row.webhook === null ? null : JSON.parse(row.webhook),
    previews: row.previews,
  };
}

function serialize(row: GenerationRow): Columns {
  return {
    id: row.id,
    account_id: row.accountId,
    key_id: row.keyId,
    status: row.status,
    model: row.model,
    adapter_id: row.adapter?.id ?? null,
    adapter_scale: row.adapter?.scale ?? null,
    prompt: row.prompt,
    negative_prompt: row.negativePrompt,
    parameters: JSON.stringify(row.parameters),
    user: row.user,
    metadata: JSON.stringify(row.metadata),
    created_at: row.createdAt,
    deadline_at: row.deadlineAt,
    claimed_until: row.claimedUntil,
    dispatched_at: row.dispatchedAt,
    runner: row.runner,
    prediction_id: row.predictionId,
    attempts: row.attempts,
    started_at: row.startedAt,
    completed_at: row.completedAt,
    run_ms: row.runMs,
    reading: row.reading && JSON.stringify(row.reading),
    notice: row.notice,
    error_code: row.error?.code ?? null,
    error_message: row.error?.message ?? null,
    metered: row.metered ? 1 : 0,
    cached: row.cached ? 1 : 0,
    cache_key: row.cacheKey,
    leader_id: row.leaderId,
    webhook: row.webhook && JSON.stringify(row.webhook),
    previews: row.previews,
  };
}

/**
 * A statement that stores a row.
 *
 * @param suffix a condition, or what is returned; `values` are its parameters
 */
export function insertInto(
  db: D1Database,
  row: GenerationRow,
  suffix: string,
  ...values: (string | number)[]
): D1PreparedStatement {
  const columns = serialize(row);
  const names = Object.keys(columns);
  return db
    .prepare(`INSERT INTO generations (${names.join(", ")}) SELECT ${names.map(() => "?").join(", ")} ${suffix}`)
    .bind(...Object.values(columns), ...values);
}
