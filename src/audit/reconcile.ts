// Matches the audit's calls for one tenant with CloudTrail's events, one by one: each line meets one event at most.
// Files and how the result looks are not known here.
import { isManagementCall } from './management-calls.ts';
import { isOfKms, type OtherEvent, type TrailEvent } from './cloudtrail.ts';
import { isPossibleMatch, differencesOf, TOLERANCE_MS, type Difference } from './compare.ts';
import { NO_RESPONSE, type AuditCall } from './audit-line.ts';
import { Span, type SpanFacts } from './span.ts';

export interface ReconcileQuery {
  readonly tenant: string;
  /** Only what is in this time is told; wall clock, milliseconds, the end left out. All of it unless given. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

export interface Different {
  readonly call: AuditCall;
  readonly event: TrailEvent;
  readonly differences: readonly Difference[];
}

/** A side of the comparison: what was read of it, in the time that was asked for. */
export interface Side extends SpanFacts {
  readonly duplicates: number;
  /** In another time than was asked for. */
  readonly outside: number;
}

export interface Reconciled {
  /** Nothing stands on one side alone, nothing differs, and something was compared at all. */
  readonly agrees: boolean;
  readonly matched: number;
  /** Of these, calls to which no answer came, though KMS had answered. */
  readonly unansweredInTrail: number;
  readonly different: readonly Different[];
  readonly onlyInTrail: readonly TrailEvent[];
  readonly onlyInAudit: readonly AuditCall[];
  /** No answer came, and no event is there: the call never reached KMS, as far as AWS knows. */
  readonly unanswered: readonly AuditCall[];
  /** KMS refused, and no event is there: AWS does not log every refusal. */
  readonly refused: readonly AuditCall[];
  /** In the tenant's name with another key, for content that waits: the platform's, whose calls the audit leaves out. */
  readonly underPlatformKey: number;
  /** What people and AWS do with a key in its own account without using it. */
  readonly housekeeping: readonly TrailEvent[];
  readonly audit: Side;
  readonly trail: Side & { readonly accounts: readonly string[] };
}

/** What is kept of an event whose line was found. */
type MatchedEvent = Pick<TrailEvent, 'id' | 'operation'> & { readonly account: string | undefined };

/** More than that in one go takes more memory than anybody should give it. */
const MOST = 1_000_000;

export class TooManyCallsError extends Error {}

const placeOfEvent = ({ operation, keys }: TrailEvent): string => `${operation} ${keys[0]}`;

const TOO_MUCH = `More than ${MOST.toLocaleString('en')} calls to compare. Restrict the range with --from and --to.`;

/** The same event again, or the one that the other account of the call was given. */
const isSameCall = (one: MatchedEvent, other: TrailEvent): boolean =>
  one.id === other.id || (one.account !== other.account && one.operation === other.operation);

const byTime = (one: { readonly at: number }, other: { readonly at: number }): number => one.at - other.at;

export class Reconciliation {
  readonly #asked: ReconcileQuery;
  readonly #keys = new Set<string>();
  readonly #calls = new Map<string, AuditCall>();
  readonly #matched = new Map<AuditCall, MatchedEvent>();
  readonly #different: Different[] = [];
  readonly #events = new Map<string, TrailEvent>();
  readonly #accounts = new Set<string>();
  readonly #audit = new Span();
  readonly #trail = new Span();
  #sameCalls = 0;
  #sameEvents = 0;
  #callsOutside = 0;
  #eventsOutside = 0;

  constructor(asked: ReconcileQuery) {
    this.#asked = asked;
  }

  /** First every line is shown, to know the tenant's keys: CloudTrail has events that name a key and no tenant. */
  look({ tenant, key }: AuditCall): void {
    if (tenant === this.#asked.tenant) this.#keys.add(key);
  }

  /** Then every line again. */
  addCall(call: AuditCall): void {
    if (call.tenant !== this.#asked.tenant && !this.#keys.has(call.key)) return;
    if (!this.#isNear(call.at)) return void (this.#callsOutside += 1);
    this.#audit.add(call.at);
    const name = call.requestId ?? JSON.stringify(call);
    const known = this.#calls.get(name);
    if (known && JSON.stringify(known) === JSON.stringify(call)) return void (this.#sameCalls += 1);
    // One request id on two different lines: the second cannot be right, and meets no event.
    this.#calls.set(known ? `${name} ${JSON.stringify(call)}` : name, call);
    if (this.#calls.size > MOST) throw new TooManyCallsError(TOO_MUCH);
  }

  /** Last every event. */
  addEvent(event: TrailEvent | OtherEvent): void {
    const isNear = this.#isNear(event.at);
    if (isNear) this.#trail.add(event.at);
    if (!isOfKms(event)) return;
    if (event.account !== undefined) this.#accounts.add(event.account);
    const call = this.#calls.get(event.requestId ?? '');
    if (!call && !this.#concerns(event)) return;
    if (!isNear) return void (this.#eventsOutside += 1);
    const met = call && this.#matched.get(call);
    if (this.#events.has(event.id) || (met && isSameCall(met, event))) return void (this.#sameEvents += 1);
    if (!call || met) this.#events.set(event.id, event);
    else this.#match(call, event);
    if (this.#events.size > MOST) throw new TooManyCallsError(TOO_MUCH);
  }

  end(): Reconciled {
    this.#meetUnanswered();
    const isTold = (at: number): boolean => at >= (this.#asked.from ?? -Infinity) && at < (this.#asked.to ?? Infinity);
    const met = [...this.#matched.keys()].filter(({ at }) => isTold(at));
    const different = this.#different.filter(({ call }) => isTold(call.at));
    const alone = [...this.#calls.values()].filter((call) => !this.#matched.has(call) && isTold(call.at)).sort(byTime);
    const onlyInAudit = alone.filter(({ result }) => result === 'ok');
    const left = [...this.#events.values()].filter(({ at }) => isTold(at)).sort(byTime);
    const own = left.filter((event) => !this.#isOfPlatform(event));
    const onlyInTrail = own.filter((event) => !isManagementCall(event));
    const matched = met.length - different.length;
    return {
      agrees: matched > 0 && different.length + onlyInTrail.length + onlyInAudit.length === 0,
      matched,
      different,
      onlyInTrail,
      onlyInAudit,
      unansweredInTrail: met.filter(({ result }) => result === NO_RESPONSE).length,
      unanswered: alone.filter(({ result }) => result === NO_RESPONSE),
      refused: alone.filter(({ result }) => result !== 'ok' && result !== NO_RESPONSE),
      underPlatformKey: left.length - own.length,
      housekeeping: own.filter(isManagementCall),
      audit: { ...this.#audit.facts(), duplicates: this.#sameCalls, outside: this.#callsOutside },
      trail: {
        ...this.#trail.facts(),
        duplicates: this.#sameEvents,
        outside: this.#eventsOutside,
        accounts: [...this.#accounts].sort(),
      },
    };
  }

  #match(call: AuditCall, event: TrailEvent): void {
    const { id, account, operation } = event;
    this.#matched.set(call, { id, account, operation });
    const differences = call.result === NO_RESPONSE ? [] : differencesOf(call, event);
    if (differences.length > 0) this.#different.push({ call, event, differences });
  }

  #concerns({ contexts, keys, message }: TrailEvent): boolean {
    if (contexts.some(({ tenant }) => tenant === this.#asked.tenant) || keys.some((key) => this.#keys.has(key)))
      return true;
    return keys.length === 0 && message !== undefined && [...this.#keys].some((key) => message.includes(key));
  }

  #isOfPlatform({ contexts, keys }: TrailEvent): boolean {
    return !keys.some((key) => this.#keys.has(key)) && contexts.some(({ purpose }) => purpose === 'intake');
  }

  /** A little more than was asked for, so that no pair is parted at the edge. */
  #isNear(at: number): boolean {
    const { from = -Infinity, to = Infinity } = this.#asked;
    return at >= from - 2 * TOLERANCE_MS && at < to + 2 * TOLERANCE_MS;
  }

  /** Each takes the first event that could be it, in the order of time on both sides. */
  #meetUnanswered(): void {
    const left = Map.groupBy([...this.#events.values()].sort(byTime), placeOfEvent);
    const passed = new Map<string, number>();
    const open = [...this.#calls.values()].filter(({ result }) => result === NO_RESPONSE).sort(byTime);
    for (const call of open) {
      const place = `${call.operation} ${call.key}`;
      const events = left.get(place) ?? [];
      let next = passed.get(place) ?? 0;
      while (next < events.length && events[next]!.at < call.at - TOLERANCE_MS) next += 1;
      passed.set(place, next);
      while (next < events.length && events[next]!.at <= call.at + TOLERANCE_MS) {
        const event = events[next]!;
        next += 1;
        if (!this.#events.has(event.id) || !isPossibleMatch(call, event)) continue;
        this.#events.delete(event.id);
        this.#match(call, event);
        break;
      }
    }
  }
}
