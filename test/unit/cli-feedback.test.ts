import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { main } from "../../src/cli/main.ts";
import type { Feedback } from "../../src/contract/feedback.ts";
import { hostOf } from "./cli-host.ts";

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);
let folder: string;
let close: () => void;
let url: string;
let pages: Feedback[][];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "vignette-feedback-"));
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", url);
    if (pathname.startsWith("/i/")) return response.end(PNG);
    const page = Number(searchParams.get("cursor") ?? 0);
    if (searchParams.get("verdict") !== "meant") return response.writeHead(500).end();
    const next_cursor = page + 1 < pages.length ? String(page + 1) : null;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({ data: pages[page], next_cursor }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  close = () => server.close();
});
afterEach(async () => {
  close();
  await rm(folder, { recursive: true });
});

function said(id: string, fields: Partial<Feedback> = {}): Feedback {
  const image = { index: 0, url: `${url}/i/${id}.png`, width: 8, height: 8, content_type: "image/png" };
  return {
    generation: id,
    object: "feedback",
    verdict: "meant",
    narrative: "my cats fell asleep",
    changed_into: "2cat, sleeping",
    image: { ...image, sha256: "0".repeat(64), seed: 1, flagged: false, share_url: null },
    model: "miniature",
    user: "slack:T1:U1",
    created_at: "2026-11-01T12:00:00.000Z",
    ...fields,
  };
}

/** Files lie in the test's own folder. */
function hostIn(place: string) {
  const { host, said: told } = hostOf(url);
  return { host: { ...host, fromHere: (path: string) => join(place, path) }, said: told };
}

describe("vignette feedback export", () => {
  it("writes a candidate per line, pictures within, and nobody's name", async ({ expect }) => {
    const flagged = said("gen_3");
    pages = [
      [said("gen_1"), said("gen_2", { changed_into: null })],
      [
        { ...flagged, image: flagged.image && { ...flagged.image, flagged: true } },
        said("gen_4", { changed_into: "my cats fell asleep" }),
      ],
      [said("gen_5")],
    ];
    const { host, said: told } = hostIn(folder);
    expect(await main(["feedback", "export", "-o", "gallery.jsonl", "--license", "CC0-1.0"], host)).toBe(0);
    const lines = (await readFile(join(folder, "gallery.jsonl"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      ["gen_1", "gen_5"].map((id) => ({
        id,
        narrative: "my cats fell asleep",
        changed_into: "2cat, sleeping",
        image: `data:image/png;base64,${PNG.toString("base64")}`,
        nsfw: false,
        origin: `vignette miniature ${id}`,
        license: "CC0-1.0",
      })),
    );
    expect(lines.join()).not.toContain("slack:");
    expect(told.out).toContain("2 candidates; 3 left out");
  });

  it("says what it needs", async ({ expect }) => {
    const { host } = hostIn(folder);
    await expect(main(["feedback"], host)).rejects.toThrow(/vignette feedback export/);
    await expect(main(["feedback", "export"], host)).rejects.toThrow(/-o FILE/);
  });
});
