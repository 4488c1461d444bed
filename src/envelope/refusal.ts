// Errors of the envelope: a rejected message, and a caller's mistake in writing one. They contain no bytes of a message: the
// reason is a word of the list below.
import { SealdexError } from '../runtime/errors.ts';

/** Reasons for rejecting a message, in the order of the checks; the `reason` of the error. */
export const REFUSALS = Object.freeze([
  /** The bytes end before the message does. */
  'truncated',
  /** Looks like base64 text, not like a message. */
  'base64',
  'unsupported-version',
  /** Another algorithm suite: suites without key commitment are never accepted. */
  'unsupported-suite',
  /** The encryption context is malformed, or contains a reserved key. */
  'context',
  /** Not exactly one wrapped data key. */
  'edk-count',
  /** The wrapped data key is not from AWS KMS. */
  'provider',
  /** The legacy content type with one single block. */
  'non-framed',
  'content-type',
  /** The frame length is 0 or above the limit. */
  'frame-length',
  /** The data key is not the one that encrypted the message. */
  'commitment',
  'header-tag',
  /** A frame is missing, repeated or out of order. */
  'sequence',
  /** The final frame states a length above the frame length. */
  'final-length',
  'frame-tag',
  /** Bytes follow the final frame. */
  'trailing',
] as const);

export type Refusal = (typeof REFUSALS)[number];

/** The error of a rejected message: one code and one text for any defect, which only `reason` names. */
export const tamperedMessage = (reason: Refusal): SealdexError =>
  new SealdexError('OBJECT_TAMPERED', undefined, { reason });

/** The error of a caller that requests an invalid message. */
export const internalError = (sentence: string): SealdexError => new SealdexError('INTERNAL', sentence);
