// Every try of a call to KMS with a tenant's key, put on the audit log before its answer is used: AWS' own log has each as well.
// What a call is for is told by who sends it.
import type { KMSClient } from '@aws-sdk/client-kms';
import type { AuditLog, AuditOrigin } from '../../runtime/audit-log.ts';
import { SealdexError } from '../../runtime/errors.ts';
import { nameOf } from '../../runtime/fault.ts';
import type { KeyRef } from '../../runtime/key-ref.ts';
import { requestIdOf } from './kms-error-mapping.ts';

/** With which key, and on whose behalf, a command is sent. */
export interface Sender {
  readonly key: KeyRef;
  readonly who: AuditOrigin;
}

/** Of inputs of commands, what we put there. */
interface Input {
  readonly EncryptionContext?: Readonly<Record<string, string>> | undefined;
  readonly SourceEncryptionContext?: Readonly<Record<string, string>> | undefined;
}

export interface Tries {
  /** Tells a command's sender, before it is sent. Nothing is sent of an unknown one. */
  sentBy(input: object, sender: Sender): void;
  /** Closes the client. What is under way has its line at once: the process may end before the client tells of it. */
  close(): void;
}

const withoutCommand = (name: string): string => name.replace(/Command$/, '');

/** The call may have reached KMS, or not. */
const NO_RESPONSE = 'unanswered';

export function auditTries(client: KMSClient, audit: AuditLog, ours: ReadonlySet<string>): Tries {
  const senders = new WeakMap<object, Sender>();
  /** How the line of each try is written that has none yet; as many as there are calls, all of which have a deadline. */
  const underWay = new Set<(result: string, requestId?: string) => void>();
  let isClosed = false;
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const sender = senders.get(args.input);
        if (sender && ours.has(sender.key.keyArn)) return next(args);
        // The SDK's next try would be sent: its handler opens connections again.
        if (isClosed) throw new SealdexError('KMS_FAILED', undefined, { reason: 'Closed' });
        if (!sender) throw new SealdexError('INTERNAL', undefined, { reason: 'Unaudited' });
        const { key, who } = sender;
        const { tenant, keyArn } = key;
        const { EncryptionContext, SourceEncryptionContext } = args.input as Input;
        const context = EncryptionContext ?? SourceEncryptionContext;
        const contextTenant = context?.['tenant'] === tenant ? undefined : context?.['tenant'];
        const { period, purpose } = context ?? {};
        const operation = withoutCommand(commandName);
        const write = (result: string, requestId?: string): void => {
          if (!underWay.delete(write)) return;
          audit.write(who, { tenant, operation, key: keyArn, contextTenant, period, purpose, result, requestId });
        };
        underWay.add(write);
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
    // Innermost: inside the SDK's retrying, and not before the call has its turn.
    { step: 'deserialize', priority: 'high', name: 'audit' },
  );
  return {
    sentBy: (input, sender) => void senders.set(input, sender),
    close() {
      isClosed = true;
      for (const write of underWay) write(NO_RESPONSE);
      client.destroy();
    },
  };
}

/** `Decrypt` of a DecryptCommand. */
export const operationOf = (command: object): string => withoutCommand(command.constructor.name);
