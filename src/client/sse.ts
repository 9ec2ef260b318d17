/** One server-sent event. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/**
 * Parses an event stream as the HTML standard says (section 9.2.6).
 * @param onComment called for each comment, such as a keep-alive, which is no event
 */
export async function* parseEvents(
  body: ReadableStream<Uint8Array>,
  onComment: () => void = () => {},
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let buffer = "";
  let block: ServerSentEvent = { id: "", event: "message", data: "" };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      buffer += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A CR at the end may be the first half of a CRLF.
      const whole = buffer.endsWith("\r") && !done ? buffer.slice(0, -1) : buffer;
      const lines = whole.split(/\r\n|\r|\n/);
      buffer = (lines.pop() ?? "") + buffer.slice(whole.length);
      for (const line of lines) {
        if (line !== "") {
          if (line.startsWith(":")) onComment();
          else take(block, line);
          continue;
        }
        if (block.data !== "") yield { ...block, data: block.data.slice(0, -1) };
        block = { id: block.id, event: "message", data: "" };
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function take(block: ServerSentEvent, line: string): void {
  // U+2028 and U+2029 end no line here: a dot must match them.
  const [, field, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
  if (field === "id") block.id = value;
  else if (field === "event") block.event = value;
  else if (field === "data") block.data += `${value}\n`;
}
