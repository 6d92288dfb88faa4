// The observer's wire format (src/broker/README.md) and its reading. The state is read member by member
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
    parseHead,
    parseMembers,
    parseObject,
    parseStorage,
    text,
    time,
} from '../../live/wire.ts';

export const rejections = [
    'rate_limit',
    'too_large',
    'no_recipient',
    'queue_full',
    'busy',
    'parse_or_handler',
] as const;

export interface Figures {
    readonly meshes: number;
    readonly connected: number;
    // Away, but within the time in which they may come back to their place.
    readonly leased: number;
    readonly queueDepth: number;
    readonly oldestAt: number | null;
    // When the two above were counted.
    readonly countedAt: number | null;
    // Keys that may not be sent to because too much waits for them.
    readonly overLimit: number;
    // Sends that wait for the database.
    readonly storing: number;
    readonly sockets: number;
    readonly pushed: number;
    readonly settled: number;
    readonly redelivered: number;
    readonly rejected: Readonly<Record<string, number>>;
    readonly refused: Readonly<Record<string, number>>;
    readonly storage: StorageState;
    readonly observers: number;
}

export interface Limits {
    readonly peersPerMesh: number;
    readonly sendsPerSecond: number;
    readonly sendBurst: number;
    readonly messageBytes: number;
    readonly inFlight: number;
    readonly buffered: number;
    readonly queuedPerKey: number;
    readonly storing: number;
}

export interface MeshRow {
    readonly id: string;
    readonly name: string;
    readonly slug: string;
    readonly connected: number;
    readonly leased: number;
    readonly capacity: number;
    readonly queued: number;
    readonly oldestAt: number | null;
}

export interface PeerRow {
    readonly id: string;
    readonly mesh: string;
    readonly name: string;
    readonly key: string;
    readonly session: boolean;
    readonly role: string;
    readonly status: string;
    readonly source: string;
    readonly statusAt: number;
    readonly groups: readonly string[];
    readonly groupCount: number;
    // Connected to another node: how much it takes is known there.
    readonly elsewhere: boolean;
    readonly connectedAt: number;
    // Set while it is away.
    readonly leaseEndsAt: number | null;
    readonly inFlight: number;
    readonly buffered: number;
    readonly acknowledges: boolean;
    readonly slow: boolean;
}

export const seriesNames = [
    'pushed',
    'settled',
    'redelivered',
    'rejected',
    'refused',
    'queueDepth',
    'connected',
] as const;
export type SeriesName = (typeof seriesNames)[number];
const gauges: readonly SeriesName[] = ['queueDepth', 'connected'];

export interface BrokerState extends StateHead {
    readonly tick: number;
    readonly figures: Figures;
    readonly limits: Limits;
    readonly meshes: readonly MeshRow[];
    readonly peers: readonly PeerRow[];
    readonly history: History<SeriesName>;
}

// What changed within a second.
export interface Tick {
    readonly ts: number;
    readonly tick: number;
    readonly figures: Figures;
    readonly meshes: readonly MeshRow[];
    readonly peers: readonly PeerRow[];
    // Ids of peers that are there no more.
    readonly gone: readonly string[];
}

export interface BrokerEvent extends WireEvent {
    readonly mesh?: string;
    readonly name?: string;
    readonly key?: string;
    readonly status?: string;
    readonly before?: string;
    readonly source?: string;
    readonly reason?: string;
    readonly count?: number;
    readonly inFlight?: number;
    readonly buffered?: number;
}

function parseFigures(value: unknown): Figures {
    const source = object(value);
    return {
        meshes: count(source['meshes']),
        connected: count(source['connected']),
        leased: count(source['leased']),
        queueDepth: count(source['queueDepth']),
        oldestAt: time(source['oldestAt']),
        countedAt: time(source['countedAt']),
        overLimit: count(source['overLimit']),
        storing: count(source['storing']),
        sockets: count(source['sockets']),
        pushed: count(source['pushed']),
        settled: count(source['settled']),
        redelivered: count(source['redelivered']),
        rejected: counts(source['rejected'], rejections),
        refused: counts(source['refused'], []),
        storage: parseStorage(source['storage']),
        observers: count(source['observers']),
    };
}

function parseLimits(value: unknown): Limits {
    const source = object(value);
    return {
        peersPerMesh: count(source['peersPerMesh'], 100),
        sendsPerSecond: count(source['sendsPerSecond']),
        sendBurst: count(source['sendBurst']),
        messageBytes: count(source['messageBytes']),
        inFlight: count(source['inFlight']),
        buffered: count(source['buffered']),
        queuedPerKey: count(source['queuedPerKey']),
        storing: count(source['storing']),
    };
}

function parseMesh(value: unknown): MeshRow {
    const source = object(value);
    return {
        id: text(source['id']),
        name: text(source['name'], 'unnamed'),
        slug: text(source['slug']),
        connected: count(source['connected']),
        leased: count(source['leased']),
        capacity: count(source['capacity']),
        queued: count(source['queued']),
        oldestAt: time(source['oldestAt']),
    };
}

function parsePeer(value: unknown): PeerRow {
    const source = object(value);
    return {
        id: text(source['id']),
        mesh: text(source['mesh']),
        name: text(source['name'], 'unnamed'),
        key: text(source['key']),
        session: source['session'] === true,
        role: text(source['role'], 'member'),
        status: text(source['status'], 'idle'),
        source: text(source['source']),
        statusAt: count(source['statusAt']),
        groups: list(source['groups']).filter((name) => typeof name === 'string'),
        groupCount: count(source['groupCount']),
        elsewhere: source['elsewhere'] === true,
        connectedAt: count(source['connectedAt']),
        leaseEndsAt: time(source['leaseEndsAt']),
        inFlight: count(source['inFlight']),
        buffered: count(source['buffered']),
        acknowledges: source['acknowledges'] === true,
        slow: source['slow'] === true,
    };
}

export function parseState(value: unknown): BrokerState {
    const source = object(value);
    if (source['service'] !== 'broker' || typeof source['bootId'] !== 'string') {
        throw new UnexpectedAnswer('The answer is not an observer state; is this a broker?');
    }
    const head = parseHead(source, source['bootId']);
    return {
        ...head,
        tick: count(source['tick']),
        figures: parseFigures(source['figures']),
        limits: parseLimits(source['limits']),
        meshes: list(source['meshes']).map(parseMesh),
        peers: list(source['peers']).map(parsePeer),
        history: parseHistory(source['history'], seriesNames, gauges, head.now),
    };
}

export function parseTick(data: string): Tick | null {
    const source = parseObject(data);
    if (source === null || typeof source['ts'] !== 'number') {
        return null;
    }
    return {
        ts: source['ts'],
        tick: count(source['tick']),
        figures: parseFigures(source['figures']),
        meshes: list(source['meshes']).map(parseMesh),
        peers: list(source['peers']).map(parsePeer),
        gone: list(source['gone']).filter((id) => typeof id === 'string'),
    };
}

const textMembers = ['mesh', 'name', 'key', 'status', 'before', 'source', 'reason'];
const countMembers = ['count', 'inFlight', 'buffered'];

export const parseEvent = (type: string, data: string) =>
    parseMembers<BrokerEvent>(type, data, textMembers, countMembers);
