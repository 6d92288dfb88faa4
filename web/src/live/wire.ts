// Reading of JSON that a server somewhat older or newer than this page may have sent: what is missing
// or of another type becomes a default.

export type Json = Record<string, unknown>;

export function object(value: unknown): Json {
    return typeof value === 'object' && value !== null && !Array.isArray(value)
        ? (value as Json)
        : {};
}

export function list(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value : [];
}

export function count(value: unknown, fallback = 0): number {
    return typeof value === 'number' && Number.isFinite(value) ? value : fallback;
}

export function time(value: unknown): number | null {
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

export function text(value: unknown, fallback = ''): string {
    return typeof value === 'string' ? value : fallback;
}

export function optionalText(value: unknown): string | null {
    return typeof value === 'string' ? value : null;
}

// The known names first, each with a number; what else the server counts after them.
export function counts(value: unknown, names: readonly string[]): Record<string, number> {
    const source = object(value);
    const known = Object.fromEntries(names.map((name) => [name, count(source[name])]));
    const others = Object.keys(source).filter((name) => !names.includes(name));
    return { ...known, ...Object.fromEntries(others.map((name) => [name, count(source[name])])) };
}

// The object in a text, or null when there is none.
export function parseObject(data: string): Json | null {
    try {
        const value: unknown = JSON.parse(data);
        return typeof value === 'object' && value !== null ? object(value) : null;
    } catch {
        return null;
    }
}

// What every state says of its server.
export interface StateHead {
    readonly version: string;
    readonly commit: string;
    // Another one after every start.
    readonly bootId: string;
    readonly startedAt: number;
    readonly now: number;
    readonly lastEventId: number;
}

export function parseHead(source: Json, bootId: string): StateHead {
    const now = count(source['now']);
    return {
        version: text(source['version'], '?'),
        commit: text(source['commit']),
        bootId,
        startedAt: count(source['startedAt'], now),
        now,
        lastEventId: count(source['lastEventId']),
    };
}

export interface WireEvent {
    readonly ts: number;
    readonly type: string;
}

// An event, with those of its optional members that have the type expected of them. Null when the
// data is none: the feed skips it.
export function parseMembers<E extends WireEvent>(
    type: string,
    data: string,
    texts: readonly string[],
    numbers: readonly string[],
): E | null {
    const source = parseObject(data);
    if (source === null || typeof source['ts'] !== 'number') {
        return null;
    }
    const names = [
        ...texts.filter((name) => typeof source[name] === 'string'),
        ...numbers.filter((name) => typeof source[name] === 'number'),
    ];
    return {
        ...Object.fromEntries(names.map((name) => [name, source[name]])),
        ts: source['ts'],
        type: text(source['type'], type),
    } as E;
}

export interface StorageState {
    readonly kind: string;
    readonly healthy: boolean;
    readonly trouble: string | null;
}

export function parseStorage(value: unknown): StorageState {
    const source = object(value);
    return {
        kind: text(source['kind'], 'unknown'),
        healthy: source['healthy'] !== false,
        trouble: optionalText(source['trouble']),
    };
}

export class UnexpectedAnswer extends Error {
    override readonly name = 'UnexpectedAnswer';
}
