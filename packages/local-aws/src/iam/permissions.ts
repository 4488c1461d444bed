// What identities may do: IAM policies by principal, for those that a test or a trial gives one; all others may do everything.
// Notes what was allowed by which statement, and what was refused.
import { readDocument, type Kind, type Statement } from './policy-parser.ts';
import { decide, matches, type AccessRequest } from './evaluate.ts';

export interface Use {
  readonly principalArn: string;
  readonly action: string;
  readonly resource: string;
  /** The statements that allow it, by their place in the policy; none: it was refused. */
  readonly allowedBy: readonly number[];
}

export interface Permissions {
  /** Only what this policy allows is open to the principal from now on; without a policy, everything is. */
  set(principalArn: string, policy: string | undefined): void;
  /** What those with a policy asked for since the start or the last `forget`, each once. */
  uses(): readonly Use[];
  forget(): void;
}

/** Beyond, uses are no longer noted: they are told apart by resource, of which there is no end. */
const MOST_USES = 10_000;

/** One policy speaks of both services; each emulator is asked for its own actions. */
const IDENTITY: Kind = { attachedTo: 'identity', services: ['kms', 's3'] };

export class PermissionBook implements Permissions {
  readonly #policies = new Map<string, readonly Statement[]>();
  readonly #uses = new Map<string, Use>();

  set(principalArn: string, policy: string | undefined): void {
    if (policy === undefined) this.#policies.delete(principalArn);
    else this.#policies.set(principalArn, readDocument(policy, IDENTITY));
  }

  /** Whether the caller's own policy lets it; notes the answer. */
  allows(asked: AccessRequest): boolean {
    const { principalArn } = asked.caller;
    const policy = this.#policies.get(principalArn);
    if (!policy) return true;
    const isAllowed = decide(policy, asked) === 'allow';
    const allowedBy = isAllowed ? policy.flatMap((each, at) => (matches(each, asked) ? [at] : [])) : [];
    const use: Use = { principalArn, action: asked.action, resource: asked.resource, allowedBy };
    if (this.#uses.size < MOST_USES) this.#uses.set(JSON.stringify(use), use);
    return isAllowed;
  }

  uses(): readonly Use[] {
    return [...this.#uses.values()];
  }

  forget(): void {
    this.#uses.clear();
  }
}
