import { webApi } from "@slack/bolt";
import type { Clock } from "../core/pace.ts";
import { patient, respond } from "./fetch-wire.ts";
import { SlackRefusal, type SlackWire } from "./wire.ts";

/** Slack's Web API through Bolt's own client, which waits out 429 and tries again after what is no answer. */
export function boltWire(token: string, options: webApi.WebClientOptions, clock: Clock): SlackWire {
  const client = new webApi.WebClient(token, options);
  const attempt = patient((input, init) => fetch(input, init), clock);
  const guarded = async <T>(work: Promise<unknown>): Promise<T> => {
    try {
      return (await work) as T;
    } catch (error) {
      if (error instanceof webApi.WebAPIPlatformError) throw new SlackRefusal(String(error.data.error));
      if (error instanceof webApi.WebAPIHTTPError) throw new SlackRefusal(String(error.statusCode));
      throw error;
    }
  };
  return {
    call: (method, args) => guarded(client.apiCall(method, given(args))),
    async upload({ name, data }) {
      const file = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const { files } = await guarded<{ files: { files?: { id?: string }[] }[] }>(
        // Alternative text given here can keep a file from ever being shown (python-slack-sdk#1818); the block has it.
        client.filesUploadV2({ file, filename: name, title: name }),
      );
      const id = files[0]?.files?.[0]?.id;
      if (!id) throw new SlackRefusal("no_file");
      return id;
    },
    respond: (url, body) => respond(url, body, attempt),
  };
}

/** What is left out is not sent. */
const given = (args: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null && value !== undefined));
