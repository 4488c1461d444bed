// The two ways in which the envelope fails: a message that is refused, and a caller's mistake in writing one.
// Holds no bytes of a message: what is wrong is a word of the list below, never a value.
import { SealdexError } from '../runtime/errors.ts';

/** Why a message is refused, in the order in which a reader looks; it is the `reason` of the error. */
export const REFUSALS = Object.freeze([
  /** The bytes end before the message does. */
  'truncated',
  /** Looks like base64 text, not like a message. */
  'base64',
  'unsupported-version',
  /** Another algorithm suite: never negotiated down to one that does not commit to its key. */
  'unsupported-suite',
  /** The encryption context is not well formed, or holds a reserved key. */
  'context',
  /** Not exactly one wrapped data key. */
  'edk-count',
  /** The wrapped data key is not one of AWS KMS. */
  'provider',
  /** The legacy content type, one single block. */
  'non-framed',
  'content-type',
  /** The frame length is 0 or above the limit. */
  'frame-length',
  /** The data key is not the one that the message was written under. */
  'commitment',
  'header-tag',
  /** A frame is missing, repeated or out of order. */
  'sequence',
  /** The final frame says that it is longer than a frame. */
  'final-length',
  'frame-tag',
  /** Bytes follow the final frame. */
  'trailing',
] as const);

export type Refusal = (typeof REFUSALS)[number];

/** The error for a message that is refused: one code and one sentence whatever the defect, which only `reason` names. */
export const tamperedMessage = (reason: Refusal): SealdexError =>
  new SealdexError('OBJECT_TAMPERED', undefined, { reason });

/** The error for a caller that asks for what cannot be written. */
export const internalError = (sentence: string): SealdexError => new SealdexError('INTERNAL', sentence);
