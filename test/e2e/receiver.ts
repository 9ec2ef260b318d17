import type { TestContext } from "node:test";
import { serve } from "../bots/http.ts";

export interface Message {
  headers: Record<string, string>;
  body: string;
}

/** A server on this machine for one webhook, up until the test ends. */
export async function receiver(test: TestContext): Promise<{ url: string; message: Promise<Message> }> {
  const { promise: message, resolve } = Promise.withResolvers<Message>();
  const { origin, close } = await serve(async (request) => {
    resolve({ headers: Object.fromEntries(request.headers), body: await request.text() });
    return new Response(null, { status: 204 });
  });
  test.after(close);
  return { url: `${origin}/told`, message };
}
