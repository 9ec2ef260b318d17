import { type Installation, type Installations, nameOfInstallation } from "../../bots/slack/installations.ts";
import type { Seal } from "../../bots/slack/seal.ts";

/** Sealed installations of the Slack app; what is in a row, only the seal's key opens. */
export function slackInstallations(db: D1Database, seal: Seal, now: () => number): Installations {
  return {
    async find(workspace) {
      const name = nameOfInstallation(workspace);
      const row = await db
        .prepare("SELECT sealed FROM slack_installations WHERE name = ?")
        .bind(name)
        .first<{ sealed: string }>();
      return row && (JSON.parse(await seal.open(row.sealed, name)) as Installation);
    },

    async save(installation) {
      const name = nameOfInstallation(installation);
      const sealed = await seal.close(JSON.stringify(installation), name);
      await db
        .prepare(
          `INSERT INTO slack_installations (name, sealed, updated_at) VALUES (?, ?, ?)
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at`,
        )
        .bind(name, sealed, now())
        .run();
    },

    async remove(workspace) {
      await db.prepare("DELETE FROM slack_installations WHERE name = ?").bind(nameOfInstallation(workspace)).run();
    },
  };
}
