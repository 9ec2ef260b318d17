import type { Clock } from "../core/pace.ts";
import { SlackRefusal, type SlackWire, type Upload } from "./wire.ts";

const TRIES = 2;
/** Slack looks for malware first; a picture is ready within a second or two. In milliseconds. */
const LOOKS = [300, 700, 1_000, 2_000, 3_000, 4_000, 4_000];

/**
 * Uploads a picture and waits until Slack has it: `ok` alone says nothing (node-slack-sdk#2040, python-slack-sdk#1818).
 * @returns its file id; null when Slack took it and then did not have it, twice
 * @throws {SlackRefusal}
 */
export async function uploadVerified(wire: SlackWire, clock: Clock, file: Upload): Promise<string | null> {
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const id = await wire.upload(file);
    for (const pause of LOOKS) {
      await clock.sleep(pause);
      if (await isReady(wire, id)) return id;
    }
    // Shown nowhere, it would lie about for nothing.
    await wire.call("files.delete", { file: id }).catch(() => {});
  }
  return null;
}

async function isReady(wire: SlackWire, file: string): Promise<boolean> {
  try {
    const { file: found } = await wire.call<{ file: { mimetype?: string } }>("files.info", { file });
    return Boolean(found.mimetype);
  } catch (error) {
    if (error instanceof SlackRefusal && error.code === "file_not_found") return false;
    throw error;
  }
}
