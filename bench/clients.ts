import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { withRig } from "./edge/rig.ts";

const FOLDER = join(import.meta.dirname, "clients");
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
].join(",");
/** Made of the description: requests that it allows, and some that it forbids, for every operation. */
const EXAMPLES = process.env.EXAMPLES ?? "20";
/** Not asked with the rest: streams that end only with their generation, and what decides whether requests are taken. */
const APART = "/events$|/v1/account$|/v1/policy$";
/** What decides it has a run of its own, after the rest. The end of the account would be the end of its key. */
const RULES = "^(GET|PATCH) /v1/account$|/v1/policy$";

export interface Clients {
  /** What the libraries' checks and Schemathesis printed. */
  sdks: string[];
  schemathesis: string[];
}

/** Other people's clients against a real edge whose runner draws in no time. @param bin the folder of their Python */
export function measureClients(bin: string): Promise<Clients> {
  return withRig({ drawMs: 1, capacity: 64 }, async ({ url, key }) => {
    const environment = { ...process.env, VIGNETTE_URL: url, VIGNETTE_API_KEY: key };
    const sdks = await run(join(bin, "python"), [join(FOLDER, "sdks.py")], environment);
    const description = join(dirname(bin), "openapi.json");
    await writeFile(description, JSON.stringify(await strictDescription(url)));
    const schemathesis = async (...operations: string[]) => {
      const text = await run(
        join(bin, "schemathesis"),
        [
          "run",
          description,
          ...["--url", url],
          ...["--header", `Authorization: Bearer ${key}`],
          ...["--checks", CHECKS],
          ...["--max-examples", EXAMPLES],
          ...["--phases", "examples,coverage,fuzzing"],
          ...operations,
          ...["--request-timeout", "30", "--seed", "20261125", "--no-color", "--warnings", "off"],
        ],
        environment,
      );
      return lines(text).slice(-25);
    };
    const most = await schemathesis("--exclude-name-regex", APART);
    const rules = await schemathesis("--include-name-regex", RULES);
    return { sdks: lines(sdks), schemathesis: [...most, ...rules] };
  });
}

/** The edge's own, without the `default` answers, which would let any status pass. */
async function strictDescription(url: string): Promise<unknown> {
  const description = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  };
  for (const operations of Object.values(description.paths))
    for (const { responses } of Object.values(operations)) delete responses.default;
  return description;
}

async function run(file: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  // Schemathesis keeps what it found in the folder where it runs.
  const child = spawn(file, args, { env, cwd: dirname(file), stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${text}`);
  return text;
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line.trim() !== "");

export const clientsTable = ({ sdks, schemathesis }: Clients) => [...sdks, ...schemathesis].join("\n");
