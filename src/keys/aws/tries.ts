// Records every try of a KMS call with a tenant's key in the audit log, before its result is used: CloudTrail has each try too.
import type { KMSClient } from '@aws-sdk/client-kms';
import type { AuditLog, AuditOrigin } from '../../runtime/audit-log.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/fault.ts';
import type { KeyRef } from '../../runtime/key-ref.ts';
import { requestIdOf } from './kms-error-mapping.ts';

/** The key and the audit context of a command. */
export interface Sender {
  readonly key: KeyRef;
  readonly origin: AuditOrigin;
}

/** The fields that sealdex sets in the inputs of commands. */
interface Input {
  readonly EncryptionContext?: Readonly<Record<string, string>> | undefined;
  readonly SourceEncryptionContext?: Readonly<Record<string, string>> | undefined;
}

export interface Tries {
  /** Registers the sender of a command. A command without a sender is not sent. */
  register(input: object, sender: Sender): void;
  /** Closes the client. Calls in progress are logged immediately, since the process may end before the client reports them. */
  close(): void;
}

const withoutCommand = (name: string): string => name.replace(/Command$/, '');

/** The call may or may not have reached KMS. */
const NO_RESPONSE = 'unanswered';

export function auditTries(client: KMSClient, audit: AuditLog, platformKeys: ReadonlySet<string>): Tries {
  const senders = new WeakMap<object, Sender>();
  /** Writers of lines for tries in progress; at most one per call, and all calls have deadlines. */
  const inProgress = new Set<(result: string, requestId?: string) => void>();
  let isClosed = false;
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const sender = senders.get(args.input);
        if (sender && platformKeys.has(sender.key.keyArn)) return next(args);
        // The SDK would send its next try: its handler opens new connections.
        if (isClosed) throw new SealdexError('KMS_FAILED', undefined, { reason: 'Closed' });
        if (!sender) throw new SealdexError('INTERNAL', undefined, { reason: 'Unaudited' });
        const { key, origin } = sender;
        const { tenant, keyArn } = key;
        const { EncryptionContext, SourceEncryptionContext } = args.input as Input;
        const context = EncryptionContext ?? SourceEncryptionContext;
        const contextTenant = context?.['tenant'] === tenant ? undefined : context?.['tenant'];
        const { period, purpose } = context ?? {};
        const operation = withoutCommand(commandName);
        const write = (result: string, requestId?: string): void => {
          if (!inProgress.delete(write)) return;
          audit.write(origin, { tenant, operation, key: keyArn, contextTenant, period, purpose, result, requestId });
        };
        inProgress.add(write);
        try {
          const answered = await next(args);
          write('ok', answered.output?.$metadata.requestId);
          return answered;
        } catch (error) {
          const requestId = requestIdOf(error);
          write(requestId === undefined ? NO_RESPONSE : nameOf(error as { name?: string }), requestId);
          throw error;
        }
      },
    // Innermost: inside the SDK's retries, and after the rate limiter.
    { step: 'deserialize', priority: 'high', name: 'audit' },
  );
  return {
    register: (input, sender) => void senders.set(input, sender),
    close() {
      isClosed = true;
      for (const write of inProgress) write(NO_RESPONSE);
      client.destroy();
    },
  };
}

/** `Decrypt` of a DecryptCommand. */
export const operationOf = (command: object): string => withoutCommand(command.constructor.name);
