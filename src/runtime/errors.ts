// The one error class, and what may be said with it. The table of its codes is codes.ts.
import { CODES, type Code } from './codes.ts';

export { CODES, dispositionOf, isCode, type Code, type Disposition } from './codes.ts';

export interface ErrorDetails {
  /** Path of the faulty field, as `sections[2].text`; never a value. */
  readonly field?: string;
  /** What exactly went wrong, for log and counter: an AWS error name or a word of ours; never content. */
  readonly reason?: string;
  /** Only from KMS, S3 and Redis: causes from parsing quote content and go nowhere. */
  readonly cause?: unknown;
  /** The request to KMS or S3 that was refused or failed, by their own id: the owner of the key finds it in CloudTrail. */
  readonly requestId?: string | undefined;
  /** The KMS key that the refused or failed call was for. */
  readonly keyArn?: string;
  /** Since when that is so: wall clock, milliseconds. */
  readonly since?: number;
  /** When the KMS key will be deleted: wall clock, milliseconds. */
  readonly deletesAt?: number;
  /** Of a denial: whose policy it is that denies, as far as KMS told. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** When it makes sense to try again, in milliseconds from now. */
  readonly retryAfterMs?: number;
}

const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** Every error that leaves a room. The message is one sentence and holds no content, no key bytes and no document id. */
export class SealdexError extends Error {
  override readonly name = 'SealdexError';
  readonly code: Code;
  declare readonly field?: string;
  declare readonly reason?: string;
  declare readonly requestId?: string;
  declare readonly keyArn?: string;
  declare readonly since?: number;
  declare readonly deletesAt?: number;
  declare readonly deniedBy?: 'operator' | 'tenant';
  declare readonly retryAfterMs?: number;

  constructor(code: Code, message?: string, details: ErrorDetails = {}) {
    super(
      message ?? `${capitalize(CODES[code].description)}: ${CODES[code].remedy}.`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    const { cause: _, ...facts } = details;
    Object.assign(this, Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)));
  }
}
