import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Installation, type Installations, nameOfInstallation } from "./installations.ts";
import type { Workspace } from "./payload.ts";
import type { Seal } from "./seal.ts";

/** Installations as sealed files in a folder, for a bot that runs as a process. */
export function fileInstallations(folder: string, seal: Seal): Installations {
  const pathOf = (name: string) => {
    if (!/^[A-Z0-9]{1,32}$/.test(name)) throw new TypeError("not a workspace's id");
    return join(folder, `${name}.sealed`);
  };
  const read = async (name: string): Promise<Installation | null> => {
    const sealed = await readFile(pathOf(name), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return null;
      throw error;
    });
    return sealed === null ? null : (JSON.parse(await seal.open(sealed, name)) as Installation);
  };
  return {
    find: ({ team, org }: Workspace) => read(org ?? team),
    async save(installation) {
      const name = nameOfInstallation(installation);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(name);
      // Whole or not at all: a file that was cut off would open no more.
      const next = `${path}.${process.pid}`;
      await writeFile(next, await seal.close(JSON.stringify(installation), name), { mode: 0o600 });
      await rename(next, path);
    },
    remove: (workspace) => rm(pathOf(nameOfInstallation(workspace)), { force: true }),
  };
}
