import type { Model } from "../../contract/models.ts";
import { type Health, PROBES, RESTS_MS } from "../runner/breaker.ts";

/** One row of `runners`. */
export interface RunnerRow extends Health {
  name: string;
  models: Model[] | null;
  /** When it told them, milliseconds since 1970. */
  fetchedAt: number | null;
}

export type RunnerStore = ReturnType<typeof runnerStore>;

/** The table `runners`: what isolates tell each other about them. */
export function runnerStore(db: D1Database) {
  return {
    async load(): Promise<RunnerRow[]> {
      const { results } = await db.prepare("SELECT * FROM runners").all<Columns>();
      return results.map(parse);
    },

    async saveModels(name: string, models: Model[], at: number): Promise<void> {
      await db
        .prepare(
          `INSERT INTO runners (name, models, fetched_at) VALUES (?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET models = excluded.models, fetched_at = excluded.fetched_at`,
        )
        .bind(name, JSON.stringify(models), at)
        .run();
    },

    /** Opens its circuit, unless another has; answers how it stands now. */
    async open(name: string, now: number): Promise<Health> {
      const [, found] = await db.batch<Columns>([
        db
          .prepare(
            `INSERT INTO runners (name, failures, open_until) VALUES (?1, 1, ?2)
               ON CONFLICT (name) DO UPDATE SET failures = 1, open_until = ?2, probes = 0, probe_until = NULL
               WHERE open_until IS NULL`,
          )
          .bind(name, now + RESTS_MS[0]),
        db.prepare("SELECT * FROM runners WHERE name = ?").bind(name),
      ]);
      return parse(found?.results[0] as Columns);
    },

    /** Takes the one call that a half-open circuit lets through at a time. */
    async probe(name: string, now: number, until: number): Promise<boolean> {
      const { meta } = await db
        .prepare(
          `UPDATE runners SET probe_until = ?3, probes = probes + 1 WHERE name = ?1 AND open_until <= ?2
             AND (probe_until IS NULL OR probe_until <= ?2)`,
        )
        .bind(name, now, until)
        .run();
      return meta.changes > 0;
    },

    /** The probe found it ill: another may try, or it rests again, for longer. Null: it has closed meanwhile. */
    async probeFailed(name: string, now: number): Promise<Health | null> {
      const last = RESTS_MS.length - 1;
      const row = await db
        .prepare(
          `UPDATE runners SET probe_until = NULL,
             failures = iif(probes >= ?3, failures + 1, failures),
             open_until = iif(probes >= ?3, ?2 + json_extract(?4, '$[' || min(failures, ${last}) || ']'), open_until),
             probes = iif(probes >= ?3, 0, probes)
             WHERE name = ?1 AND open_until IS NOT NULL RETURNING *`,
        )
        .bind(name, now, PROBES, JSON.stringify(RESTS_MS))
        .first<Columns>();
      return row && parse(row);
    },

    /** The probe found it well: its circuit closes. */
    async recovered(name: string): Promise<void> {
      await db
        .prepare("UPDATE runners SET failures = 0, open_until = NULL, probes = 0, probe_until = NULL WHERE name = ?")
        .bind(name)
        .run();
    },

    /** Answers when the database does. */
    async ping(): Promise<void> {
      await db.prepare("SELECT 1").first();
    },
  };
}

interface Columns {
  name: string;
  models: string | null;
  fetched_at: number | null;
  failures: number;
  open_until: number | null;
  probes: number;
  probe_until: number | null;
}

function parse(row: Columns): RunnerRow {
  return {
    name: row.name,
    models: row.models === null ? null : JSON.parse(row.models),
    fetchedAt: row.fetched_at,
    failures: row.failures,
    openUntil: row.open_until,
    probes: row.probes,
    probeUntil: row.probe_until,
  };
}
