import { useState } from "preact/hooks";
import type { Client } from "../../client/index.ts";
import { announce, say } from "../state/announce.ts";
import { api } from "../state/api.ts";
import { explain, type Trouble } from "../state/trouble.ts";

/** One thing at a time that a press sets off; its failure is kept to be shown, its success is said. */
export function useAct(): {
  busy: boolean;
  trouble: Trouble | null;
  act: (work: (client: Client) => Promise<unknown>, done?: string) => Promise<void>;
} {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const act = async (work: (client: Client) => Promise<unknown>, done?: string) => {
    const client = api.value;
    if (!client || busy) return;
    setBusy(true);
    setTrouble(null);
    try {
      await work(client);
      if (done) say(done);
    } catch (error) {
      const told = explain(error);
      setTrouble(told);
      announce(`${told.title}. ${told.detail}`);
    } finally {
      setBusy(false);
    }
  };
  return { busy, trouble, act };
}
