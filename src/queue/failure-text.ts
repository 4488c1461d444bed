// The text that a failure is stored as in Redis, written and read. Holds a code and a job id, and nothing of an error.
import { isCode, type Code } from '../errors.ts';
import { isJobId } from '../names.ts';

/** A code and a job id; an id that is not of ours may be content. */
export const failureText = (code: Code, jobId: string | undefined): string => `${code} ${isJobId(jobId) ? jobId : '-'}`;

/** The code of a failure. A text that is not of ours is BullMQ's: it gave the job up because it stalled too often. */
export function codeOfFailure(text: string | null | undefined): Code {
  const code = text?.split(' ')[0] ?? '';
  return isCode(code) ? code : 'STALLED_TOO_OFTEN';
}
