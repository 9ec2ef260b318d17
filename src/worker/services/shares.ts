import type { Share } from "../../contract/shares.ts";
import type { Deps } from "../deps.ts";
import { Refusal } from "../refusal.ts";
import type { ImageRow } from "../storage/images.ts";
import type { SharedImage } from "../storage/shares.ts";
import { newTokens } from "./followers.ts";
import { findRow } from "./generations.ts";
import { forgetHits } from "./reuse.ts";
import { rfc3339, shareUrl } from "./view.ts";

/**
 * Gives an image a public page. An image that has one keeps its address.
 *
 * @throws {Refusal} not_found, image_flagged
 */
export async function shareImage(
  deps: Deps,
  accountId: string,
  generationId: string,
  position: number,
  showPrompt: boolean,
): Promise<Share> {
  await requireImage(deps, accountId, generationId, position);
  const [token = ""] = newTokens(1);
  const image = await deps.shares.share(accountId, { generationId, position }, { token, showPrompt, at: deps.now() });
  if (!image?.share) throw gone();
  forgetHits(deps, [generationId]);
  return {
    object: "share",
    url: shareUrl(deps.config.PUBLIC_URL, image.share.token),
    show_prompt: image.share.showPrompt,
    shared_at: rfc3339(image.share.at),
  };
}

/** Ends an image's page; without one there is nothing to do. @throws {Refusal} not_found */
export async function unshareImage(
  deps: Deps,
  accountId: string,
  generationId: string,
  position: number,
): Promise<void> {
  await findRow(deps, accountId, generationId);
  await deps.shares.unshare(accountId, generationId, position);
  forgetHits(deps, [generationId]);
}

/** What a public page shows; null when nothing is shared under this name. */
export function sharedImage(deps: Deps, token: string): Promise<SharedImage | null> {
  return deps.shares.byToken(token);
}

async function requireImage(deps: Deps, accountId: string, generationId: string, position: number): Promise<ImageRow> {
  await findRow(deps, accountId, generationId);
  const image = (await deps.images.of([generationId])).get(generationId)?.find((each) => each.position === position);
  if (!image) throw gone();
  if (image.flagged)
    throw new Refusal("image_flagged", "This picture was flagged as unsuitable; it gets no public page.");
  return image;
}

function gone(): Refusal {
  return new Refusal("not_found", "The generation has no such picture; count from 0, once it has succeeded.");
}
