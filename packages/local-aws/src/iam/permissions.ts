// IAM permissions: identity policies by principal. A principal without a policy may do everything.
// Records which statement allowed a request, and which requests were denied.
import { readDocument, type Kind, type Statement } from './policy-parser.ts';
import { decide, matches, type AccessRequest } from './evaluate.ts';

export interface Use {
  readonly principalArn: string;
  readonly action: string;
  readonly resource: string;
  /** Indexes of the statements that allow it; empty if it was denied. */
  readonly allowedBy: readonly number[];
}

export interface Permissions {
  /** Sets the only permissions of the principal; undefined allows everything. */
  set(principalArn: string, policy: string | undefined): void;
  /** Distinct requests of principals with a policy, since the start or the last `forget`. */
  uses(): readonly Use[];
  forget(): void;
}

/** Further uses are not recorded: they are distinguished by resource, whose number is unbounded. */
const MAX_USES = 10_000;

/** One policy covers both services. */
const IDENTITY: Kind = { attachedTo: 'identity', services: ['kms', 's3'] };

export class PermissionBook implements Permissions {
  readonly #policies = new Map<string, readonly Statement[]>();
  readonly #uses = new Map<string, Use>();

  set(principalArn: string, policy: string | undefined): void {
    if (policy === undefined) this.#policies.delete(principalArn);
    else this.#policies.set(principalArn, readDocument(policy, IDENTITY));
  }

  /** Whether the caller's own policy allows the request; records the result. */
  allows(request: AccessRequest): boolean {
    const { principalArn } = request.caller;
    const policy = this.#policies.get(principalArn);
    if (!policy) return true;
    const isAllowed = decide(policy, request) === 'allow';
    const allowedBy = isAllowed ? policy.flatMap((each, at) => (matches(each, request) ? [at] : [])) : [];
    const use: Use = { principalArn, action: request.action, resource: request.resource, allowedBy };
    if (this.#uses.size < MAX_USES) this.#uses.set(JSON.stringify(use), use);
    return isAllowed;
  }

  uses(): readonly Use[] {
    return [...this.#uses.values()];
  }

  forget(): void {
    this.#uses.clear();
  }
}
