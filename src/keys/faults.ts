// What an error of KMS means: the table of KMS errors and key states as data. Nothing here calls KMS.
// Classified by name, never by status (faults travel as HTTP 400); AccessDenied, Throttling and Validation have no class in the SDK.
import { SealdexError, type Code } from '../errors.ts';

type Class = 'failed' | 'throttled' | 'state' | 'denied' | 'not-found' | 'tampered' | 'invalid' | 'credentials';

const CLASSES: Readonly<Record<string, Class>> = Object.freeze({
  KMSInternalException: 'failed',
  DependencyTimeoutException: 'failed',
  KeyUnavailableException: 'failed',
  TimeoutError: 'failed',
  AbortError: 'failed',
  ThrottlingException: 'throttled',
  LimitExceededException: 'throttled',
  DisabledException: 'state',
  KMSInvalidStateException: 'state',
  AccessDeniedException: 'denied',
  NotFoundException: 'not-found',
  InvalidCiphertextException: 'tampered',
  IncorrectKeyException: 'tampered',
  InvalidKeyUsageException: 'invalid',
  InvalidArnException: 'invalid',
  ValidationException: 'invalid',
  ExpiredTokenException: 'credentials',
  UnrecognizedClientException: 'credentials',
  InvalidClientTokenId: 'credentials',
  IncompleteSignature: 'credentials',
  InvalidSignatureException: 'credentials',
  SignatureDoesNotMatch: 'credentials',
  RequestTimeTooSkewed: 'credentials',
  InvalidAccessKeyId: 'credentials',
  InvalidToken: 'credentials',
  CredentialsProviderError: 'credentials',
  // STS, which the SDK asks for credentials; KMS itself says AccessDeniedException.
  AccessDenied: 'credentials',
  InvalidIdentityTokenException: 'credentials',
  IDPRejectedClaimException: 'credentials',
});

const CODES_BY_CLASS: Readonly<Record<Exclude<Class, 'state'>, { tenant: Code; platform: Code }>> = Object.freeze({
  failed: { tenant: 'KMS_FAILED', platform: 'KMS_FAILED' },
  throttled: { tenant: 'KMS_THROTTLED', platform: 'KMS_THROTTLED' },
  denied: { tenant: 'KEY_DENIED', platform: 'PLATFORM_KEY' },
  'not-found': { tenant: 'KEY_NOT_FOUND', platform: 'PLATFORM_KEY' },
  tampered: { tenant: 'OBJECT_TAMPERED', platform: 'OBJECT_TAMPERED' },
  invalid: { tenant: 'TENANT_KEY_INVALID', platform: 'PLATFORM_KEY' },
  credentials: { tenant: 'PLATFORM_CREDENTIALS', platform: 'PLATFORM_CREDENTIALS' },
});

const NAME = /^[A-Za-z][A-Za-z0-9.]{0,60}$/;

/** Key states in which KMS refuses; a state that is not here ("Enabled" after a flap, "Creating") passes by itself. */
const CODES_BY_STATE: Readonly<Record<string, Code>> = Object.freeze({
  Disabled: 'KEY_DISABLED',
  PendingDeletion: 'KEY_PENDING_DELETION',
  PendingReplicaDeletion: 'KEY_PENDING_DELETION',
  PendingImport: 'KEY_PENDING_IMPORT',
  Unavailable: 'KEY_UNAVAILABLE',
});

export const needsState = (error: unknown): boolean => classOf(error) === 'state';

/** `state` is what DescribeKey told when the error speaks of the key's state; undefined when it told nothing. */
export function kmsFault(error: unknown, isPlatformKey: boolean, state?: string): SealdexError {
  if (error instanceof SealdexError) return error;
  // A name is the server's text until it is one of ours: one that is no name is not repeated.
  const reason = error instanceof Error && NAME.test(error.name) ? error.name : 'Unknown';
  const kind = classOf(error);
  const of = (code: Code): SealdexError => new SealdexError(code, undefined, { reason, cause: error });
  if (kind === undefined) return of('INTERNAL');
  if (kind !== 'state') return of(CODES_BY_CLASS[kind][isPlatformKey ? 'platform' : 'tenant']);
  const code =
    state === undefined
      ? codeWithoutState(error as Error)
      : ((Object.hasOwn(CODES_BY_STATE, state) ? CODES_BY_STATE[state] : undefined) ?? 'KMS_FAILED');
  return of(isPlatformKey && code !== 'KMS_FAILED' ? 'PLATFORM_KEY' : code);
}

/** When DescribeKey is denied too, the first error's own text is all there is. */
function codeWithoutState({ name, message }: Error): Code {
  if (/pending (replica )?deletion/i.test(message)) return 'KEY_PENDING_DELETION';
  if (/pending import/i.test(message)) return 'KEY_PENDING_IMPORT';
  if (/creating|updating/i.test(message)) return 'KMS_FAILED';
  return name === 'DisabledException' ? 'KEY_DISABLED' : 'KEY_UNAVAILABLE';
}

/** Codes of the operating system, of undici, and of TLS; not those of Node's own argument checks, ERR_INVALID_... */
const NETWORK = /^(E(?!RR_)[A-Z0-9_]+|UND_ERR_[A-Z_]+|ERR_(TLS|SSL)_[A-Z_]+|[A-Z_]*(CERT|SIGNATURE)[A-Z_]*)$/;

function classOf(error: unknown): Class | undefined {
  if (!(error instanceof Error)) return undefined;
  const byName = Object.hasOwn(CLASSES, error.name) ? CLASSES[error.name] : undefined;
  if (byName) return byName;
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } };
  const isNetwork = typeof code === 'string' && NETWORK.test(code);
  return isNetwork || ($metadata?.httpStatusCode ?? 0) >= 500 ? 'failed' : undefined;
}

/** Wrapped bytes that this key and context do not open: from Redis a poisoned entry, in a message a forgery. */
export const isWrongWrapping = (error: unknown): boolean =>
  error instanceof SealdexError && error.code === 'OBJECT_TAMPERED';
