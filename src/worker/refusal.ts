import type { FieldError, ProblemCode } from "../contract/problem.ts";

/** A request that is not served, and why: services throw it, `problems.ts` turns it into problem+json. */
export class Refusal extends Error {
  readonly code: ProblemCode;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;
  /** Names of the rate limit policies that ran out. */
  readonly violated: string[] | undefined;
  /** The rule of the policy that a prompt broke. */
  readonly rule: string | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    extra: { errors?: FieldError[]; headers?: Record<string, string>; violated?: string[]; rule?: string } = {},
  ) {
    super(detail);
    this.code = code;
    this.errors = extra.errors;
    this.headers = extra.headers ?? {};
    this.violated = extra.violated;
    this.rule = extra.rule;
  }
}

/** One refusal that names the fields at fault. */
export function invalid(errors: FieldError[]): Refusal {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  return new Refusal("invalid_request", first ? `${first.pointer}: ${first.detail}${more}` : "Nothing was given.", {
    errors,
  });
}
