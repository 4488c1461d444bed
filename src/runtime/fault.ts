// The fault: what log lines and metrics may say of an error. Pure functions.
// Codes, names and AWS request ids: never content, key bytes or document ids.
import { SealdexError } from './errors.ts';

export interface Fault {
  readonly code: string;
  readonly reason?: string;
  readonly field?: string;
  /** Who has to act when AWS denies access. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** Name of the error that KMS, S3, Redis or Node gave. */
  readonly cause?: string;
  readonly requestId?: string;
}

/** What may be said of an error: no message, since messages of unknown errors quote what they met. */
export function faultOf(error: unknown): Fault {
  if (error instanceof SealdexError) {
    return {
      code: error.code,
      ...(error.reason === undefined ? {} : { reason: error.reason }),
      ...(error.field === undefined ? {} : { field: error.field }),
      ...(error.deniedBy === undefined ? {} : { deniedBy: error.deniedBy }),
      ...(error.cause === undefined ? {} : { cause: causeOf(error.cause) }),
      ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    };
  }
  return { code: 'INTERNAL', cause: causeOf(error) };
}

/** A name may be a server's own text: one that is no name is not repeated. */
export const nameOf = ({ name }: { readonly name?: string }, otherwise = 'Error'): string =>
  name !== undefined && /^[A-Za-z][A-Za-z0-9.]{0,60}$/.test(name) ? name : otherwise;

/** Node and undici give an error of the network the name `Error` and a code: its code, or `TimeoutError`. */
export function networkNameOf(name: string, code: unknown): string {
  if (typeof code !== 'string' || !/^[A-Z][A-Z0-9_]{0,63}$/.test(code)) return name;
  if (/^UND_ERR_.*TIMEOUT$/.test(code)) return 'TimeoutError';
  return name === 'Error' || name === 'Unknown' ? code : name;
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const detail = (error as { code?: unknown }).code;
  const name = nameOf(error);
  return typeof detail === 'string' && /^[A-Z0-9_]+$/.test(detail) ? `${name} ${detail}` : name;
}
