import type { Model } from "../../contract/models.ts";
import { type Health, restAfter } from "../runner/breaker.ts";

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

    /** Notes that it was ill; answers how it stands now. */
    async failed(name: string, now: number): Promise<Health> {
      const row = await db
        .prepare(
          `INSERT INTO runners (name, failures) VALUES (?1, 1)
             ON CONFLICT (name) DO UPDATE SET failures = failures + 1, probe_until = NULL RETURNING *`,
        )
        .bind(name)
        .first<Columns>();
      const failures = row?.failures ?? 1;
      const rest = restAfter(failures);
      if (rest === null) return { failures, openUntil: null, probeUntil: null };
      const openUntil = now + rest;
      await db
        .prepare("UPDATE runners SET open_until = ?2 WHERE name = ?1 AND failures > 0")
        .bind(name, openUntil)
        .run();
      return { failures, openUntil, probeUntil: null };
    },

    /** Notes that it is well. */
    async recovered(name: string): Promise<void> {
      await db
        .prepare(
          "UPDATE runners SET failures = 0, open_until = NULL, probe_until = NULL WHERE name = ? AND failures > 0",
        )
        .bind(name)
        .run();
    },

    /** Takes the one call that a half-open circuit lets through. */
    async probe(name: string, now: number, until: number): Promise<boolean> {
      const { meta } = await db
        .prepare(
          `UPDATE runners SET probe_until = ?3 WHERE name = ?1 AND open_until <= ?2
             AND (probe_until IS NULL OR probe_until <= ?2)`,
        )
        .bind(name, now, until)
        .run();
      return meta.changes > 0;
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
  probe_until: number | null;
}

function parse(row: Columns): RunnerRow {
  return {
    name: row.name,
    models: row.models === null ? null : JSON.parse(row.models),
    fetchedAt: row.fetched_at,
    failures: row.failures,
    openUntil: row.open_until,
    probeUntil: row.probe_until,
  };
}
