// The observer's wire format (contract, section 9) and its reading. The state is read member by member
// with defaults, so that a console works with a server somewhat older or newer than itself; only what
// the page cannot do without is demanded.

import { type History, parseHistory } from '../../live/history.ts';
import {
    type StateHead,
    type StorageState,
    UnexpectedAnswer,
    type WireEvent,
    count,
    counts,
    list,
    object,
    optionalText,
    parseHead,
    parseMembers,
    parseStorage,
    text,
    time,
} from '../../live/wire.ts';

export const suites = ['x3dh-ed25519', 'pqxdh-ed25519', 'pqxdh-xeddsa', 'x3dh-xeddsa'] as const;
export const limits = ['register', 'fetch', 'target', 'pair', 'replenish'] as const;
export type Limit = (typeof limits)[number];

export interface Totals {
    readonly identities: number;
    readonly identitiesBySuite: Readonly<Record<string, number>>;
    readonly oneTimePreKeys: number;
    readonly kemOneTimePreKeys: number;
    readonly belowLowThreshold: number;
    readonly exhausted: number;
    readonly lowThreshold: number;
}

export interface Counters {
    readonly registered: number;
    readonly fetched: number;
    readonly issued: number;
    readonly exhausted: number;
    readonly withheld: number;
    readonly replenished: number;
    readonly rotated: number;
    readonly deleted: number;
    readonly rateLimited: Readonly<Record<string, number>>;
    readonly replaysRejected: number;
    readonly authFailures: number;
    readonly identityConflicts: number;
    readonly depletionSuspected: number;
    readonly purged: number;
}

export interface LowStock {
    readonly addressHash: string;
    readonly address: string | null;
    readonly suite: string;
    readonly oneTimePreKeys: number;
    readonly kemOneTimePreKeys: number;
    readonly lastFetchAt: number | null;
    readonly lastOwnerActivityAt: number | null;
}

export const seriesNames = [
    'fetches',
    'issued',
    'exhausted',
    'withheld',
    'registrations',
    'rateLimited',
    'oneTimePreKeys',
    'kemOneTimePreKeys',
] as const;
export type SeriesName = (typeof seriesNames)[number];

const gauges: readonly SeriesName[] = ['oneTimePreKeys', 'kemOneTimePreKeys'];

export interface KeyTransparency {
    treeSize: number;
    checkpointAt: number | null;
    // Why nothing is signed.
    trouble: string | null;
}

export interface ObserverState extends StateHead {
    readonly storage: StorageState;
    readonly totals: Totals;
    readonly counters: Counters;
    readonly lowStock: readonly LowStock[];
    readonly cleanup: {
        staleDays: number;
        intervalHours: number;
        lastRunAt: number | null;
        lastPurged: number;
        dryRun: boolean;
    };
    readonly keyTransparency: KeyTransparency | null;
    readonly history: History<SeriesName>;
    readonly observerClients: number;
}

export interface ObserverEvent extends WireEvent {
    readonly addressHash?: string;
    readonly address?: string;
    readonly suite?: string;
    readonly oneTime?: string;
    readonly kem?: string;
    readonly remaining?: number;
    readonly kemRemaining?: number;
    readonly ipPrefixHash?: string;
    readonly limit?: string;
    readonly count?: number;
    readonly treeSize?: number;
}

function parseTotals(value: unknown): Totals {
    const source = object(value);
    return {
        identities: count(source['identities']),
        identitiesBySuite: counts(source['identitiesBySuite'], suites),
        oneTimePreKeys: count(source['oneTimePreKeys']),
        kemOneTimePreKeys: count(source['kemOneTimePreKeys']),
        belowLowThreshold: count(source['belowLowThreshold']),
        exhausted: count(source['exhausted']),
        lowThreshold: count(source['lowThreshold'], 20),
    };
}

function parseCounters(value: unknown): Counters {
    const source = object(value);
    return {
        registered: count(source['registered']),
        fetched: count(source['fetched']),
        issued: count(source['issued']),
        exhausted: count(source['exhausted']),
        withheld: count(source['withheld']),
        replenished: count(source['replenished']),
        rotated: count(source['rotated']),
        deleted: count(source['deleted']),
        rateLimited: counts(source['rateLimited'], limits),
        replaysRejected: count(source['replaysRejected']),
        authFailures: count(source['authFailures']),
        identityConflicts: count(source['identityConflicts']),
        depletionSuspected: count(source['depletionSuspected']),
        purged: count(source['purged']),
    };
}

function parseLowStock(value: unknown): LowStock {
    const source = object(value);
    return {
        addressHash: text(source['addressHash'], 'unknown'),
        address: typeof source['address'] === 'string' ? source['address'] : null,
        suite: text(source['suite'], 'unknown'),
        oneTimePreKeys: count(source['oneTimePreKeys']),
        kemOneTimePreKeys: count(source['kemOneTimePreKeys']),
        lastFetchAt: time(source['lastFetchAt']),
        lastOwnerActivityAt: time(source['lastOwnerActivityAt']),
    };
}

export function parseState(value: unknown): ObserverState {
    const source = object(value);
    if (typeof source['bootId'] !== 'string' || typeof source['now'] !== 'number') {
        throw new UnexpectedAnswer(
            'The answer is not an observer state; is this a prekeys server?',
        );
    }
    const cleanup = object(source['cleanup']);
    const transparency = source['keyTransparency'];
    const head = parseHead(source, source['bootId']);
    return {
        ...head,
        storage: parseStorage(source['storage']),
        totals: parseTotals(source['totals']),
        counters: parseCounters(source['counters']),
        lowStock: list(source['lowStock']).map(parseLowStock),
        cleanup: {
            staleDays: count(cleanup['staleDays']),
            intervalHours: count(cleanup['intervalHours']),
            lastRunAt: time(cleanup['lastRunAt']),
            lastPurged: count(cleanup['lastPurged']),
            dryRun: cleanup['dryRun'] === true,
        },
        keyTransparency:
            typeof transparency === 'object' && transparency !== null
                ? {
                      treeSize: count(object(transparency)['treeSize']),
                      checkpointAt: time(object(transparency)['checkpointAt']),
                      trouble: optionalText(object(transparency)['trouble']),
                  }
                : null,
        history: parseHistory(source['history'], seriesNames, gauges, head.now),
        observerClients: count(source['observerClients']),
    };
}

const textMembers = ['addressHash', 'address', 'suite', 'oneTime', 'kem', 'ipPrefixHash', 'limit'];
const countMembers = ['remaining', 'kemRemaining', 'count', 'treeSize'];

export const parseEvent = (type: string, data: string) =>
    parseMembers<ObserverEvent>(type, data, textMembers, countMembers);
