import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { withRig } from "./edge/rig.ts";

const FOLDER = join(import.meta.dirname, "clients");
const CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/** Made of the description: requests that it allows, and some that it forbids, for every operation. */
const EXAMPLES = process.env.EXAMPLES ?? "3";

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
    const schemathesis = await run(
      join(bin, "schemathesis"),
      [
        "run",
        `${url}/openapi.json`,
        ...["--header", `Authorization: Bearer ${key}`],
        ...["--checks", CHECKS],
        ...["--max-examples", EXAMPLES],
        ...["--phases", "examples,coverage,fuzzing"],
        ...["--exclude-path-regex", "/events$|^/v1/account$"],
        ...["--request-timeout", "30", "--seed", "20261125", "--no-color", "--warnings", "off"],
      ],
      environment,
    );
    return { sdks: lines(sdks), schemathesis: lines(schemathesis).slice(-25) };
  });
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
