import { parseProgressFromLogs } from "replicate";

/** Steps done and steps in all, from a prediction's tqdm lines; null before the first. */
export function stepsFromLogs(logs: string): { step: number; steps: number } | null {
  const progress = parseProgressFromLogs(logs);
  if (!progress || !(progress.total > 0)) return null;
  return { step: progress.current, steps: progress.total };
}
