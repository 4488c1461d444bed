// The text that a failure is stored as in Redis, written and read. Holds a code, a job id, and of a file's failure a word
// that says which; nothing else of an error.
import { isCode, type Code } from '../../runtime/errors.ts';
import { isJobId } from '../../runtime/names.ts';

/** What is known of a failure. `reason`: why a file was not read, of codes FILE_... only. */
export interface Failure {
  readonly code: Code;
  readonly reason?: string;
}

const REASON = /^[a-z0-9][a-z0-9./+-]{0,99}$/;

/** As a part of a failure: nothing for a word that no file fails by, which may be content. */
export const fileReason = (code: Code | undefined, reason: string | undefined): { reason?: string } =>
  code?.startsWith('FILE_') && reason !== undefined && REASON.test(reason) ? { reason } : {};

/** A code and a job id; an id that is not of ours may be content. */
export function failureText(failure: Failure, jobId: string | undefined): string {
  const { reason } = fileReason(failure.code, failure.reason);
  const words = [failure.code, isJobId(jobId) ? jobId : '-', ...(reason === undefined ? [] : [reason])];
  return words.join(' ');
}

/** BullMQ's own words for a job that it gave up: it stalled too often. */
const BULLMQ_STALLED = /\bstalled\b/;

/** What a text says. Of one that is neither of ours nor of BullMQ's nothing is known but that somebody failed the job. */
export function failureOf(text: string | null | undefined): Failure {
  const [code = '', , reason] = text?.split(' ') ?? [];
  if (isCode(code)) return { code, ...fileReason(code, reason) };
  return { code: BULLMQ_STALLED.test(text ?? '') ? 'STALLED_TOO_OFTEN' : 'INTERNAL' };
}

export const codeOfFailure = (text: string | null | undefined): Code => failureOf(text).code;
