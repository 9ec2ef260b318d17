import { useEffect, useState } from "preact/hooks";
import type { Client } from "../../client/index.ts";
import { api, reachable } from "../state/api.ts";
import { explain, type Trouble } from "../state/trouble.ts";

export interface Loaded<T> {
  data: T | null;
  trouble: Trouble | null;
  reload: () => void;
  set: (data: T) => void;
}

/** Something of the API, asked for when the part appears, when `inputs` change, and when the edge is there again. */
export function useLoad<T>(load: (client: Client) => Promise<T>, inputs: unknown[] = []): Loaded<T> {
  const [data, set] = useState<T | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [turn, setTurn] = useState(0);
  const client = api.value;
  const there = reachable.value;
  useEffect(() => {
    if (!client || !there) return;
    let gone = false;
    load(client).then(
      (found) => {
        if (gone) return;
        set(found);
        setTrouble(null);
      },
      (error) => !gone && setTrouble(explain(error)),
    );
    return () => {
      gone = true;
    };
  }, [client, there, turn, ...inputs]);
  return { data, trouble, reload: () => setTurn(turn + 1), set };
}
