// Failure text: how a failure is stored in Redis. It holds a code, a job id, and the reason why a file was not read.
import { isCode, type Code } from '../../runtime/errors.ts';
import { isJobId } from '../../runtime/names.ts';

/** `reason`: why a file was not read; only with the codes FILE_... */
export interface Failure {
  readonly code: Code;
  readonly reason?: string;
}

const REASON = /^[a-z0-9][a-z0-9./+-]{0,99}$/;

/** The reason as a property; none for a text that is not a reason of a file, since it may be content. */
export const fileReason = (code: Code | undefined, reason: string | undefined): { reason?: string } =>
  code?.startsWith('FILE_') && reason !== undefined && REASON.test(reason) ? { reason } : {};

/** A job id that sealdex did not make may be content, so it is left out. */
export function failureText(failure: Failure, jobId: string | undefined): string {
  const { reason } = fileReason(failure.code, failure.reason);
  const words = [failure.code, isJobId(jobId) ? jobId : '-', ...(reason === undefined ? [] : [reason])];
  return words.join(' ');
}

/** BullMQ's text for a job that stalled too often. */
const BULLMQ_STALLED = /\bstalled\b/;

/** Parses a failure text. A text that neither sealdex nor BullMQ wrote is `INTERNAL`. */
export function failureOf(text: string | null | undefined): Failure {
  const [code = '', , reason] = text?.split(' ') ?? [];
  if (isCode(code)) return { code, ...fileReason(code, reason) };
  return { code: BULLMQ_STALLED.test(text ?? '') ? 'STALLED_TOO_OFTEN' : 'INTERNAL' };
}

export const codeOfFailure = (text: string | null | undefined): Code => failureOf(text).code;
