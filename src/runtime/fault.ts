// Faults: the part of an error that log lines and metrics may contain. Codes, names and AWS request ids; never content, key bytes
// or document ids.
import { SealdexError } from './errors.ts';

export interface Fault {
  readonly code: string;
  readonly reason?: string;
  readonly field?: string;
  /** Side that must act if AWS denies access. */
  readonly deniedBy?: 'operator' | 'tenant';
  /** Name of the error of KMS, S3, Redis or Node. */
  readonly cause?: string;
  readonly requestId?: string;
}

/** The part of an error that is safe to log. Leaves out the message, since messages of unknown errors quote content. */
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

/** A name can be text from a server: text that is not an identifier must not reach logs. */
export const nameOf = ({ name }: { readonly name?: string }, otherwise = 'Error'): string =>
  name !== undefined && /^[A-Za-z][A-Za-z0-9.]{0,60}$/.test(name) ? name : otherwise;

/** Node and undici give network errors the name `Error` and a code: returns that code, or `TimeoutError`. */
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
