// What a feed of events holds, newest first, and how it grows. Pure.

export interface LoggedEvent {
    // Server clock.
    readonly ts: number;
    // An event type of the server, or "restarted" for the mark a page sets.
    readonly type: string;
}

export interface FeedEntry<E extends LoggedEvent> {
    readonly key: string;
    readonly id: number;
    readonly at: number;
    readonly type: string;
    readonly event: E;
}

export interface Feed<E extends LoggedEvent> {
    // Newest first, at most feedMax.
    readonly feed: readonly FeedEntry<E>[];
    // How many entries ever entered the feed: tells a paused reader how much it is missing.
    readonly feedTotal: number;
    // When each kind of event was last seen, server clock.
    readonly lastSeen: Readonly<Record<string, number>>;
}

// More than the thousand events the server can send again, so that the mark of a gap stays in sight.
export const feedMax = 1500;

export function feedEntry<E extends LoggedEvent>(
    bootId: string,
    id: number,
    event: E,
): FeedEntry<E> {
    // Marks set by the stream or by a page have no id of their own.
    const own = id === 0 ? `${event.type}@${event.ts}` : String(id);
    return { key: `${bootId}/${own}`, id, at: event.ts, type: event.type, event };
}

// `entries` are the oldest first; what the feed has already does not enter again.
export function withEntries<E extends LoggedEvent, M extends Feed<E>>(
    model: M,
    entries: readonly FeedEntry<E>[],
): M {
    const known = new Set(model.feed.map((item) => item.key));
    const fresh = entries.filter((item) => !known.has(item.key));
    if (fresh.length === 0) {
        return model;
    }
    const lastSeen = { ...model.lastSeen };
    for (const item of fresh) {
        lastSeen[item.type] = Math.max(lastSeen[item.type] ?? 0, item.at);
    }
    return {
        ...model,
        feed: [...fresh.toReversed(), ...model.feed].slice(0, feedMax),
        feedTotal: model.feedTotal + fresh.length,
        lastSeen,
    };
}

export interface FeedFilter {
    // Types to show; empty shows all.
    readonly types: ReadonlySet<string>;
    readonly text: string;
}

// `words` is what the text is looked for in.
export function passes<E extends LoggedEvent>(
    entry: FeedEntry<E>,
    filter: FeedFilter,
    words: readonly (string | undefined)[],
): boolean {
    if (filter.types.size > 0 && !filter.types.has(entry.type)) {
        return false;
    }
    const needle = filter.text.trim().toLowerCase();
    return needle === '' || words.some((word) => word?.toLowerCase().includes(needle));
}

export function countByType(feed: readonly { readonly type: string }[]): Map<string, number> {
    const counts = new Map<string, number>();
    for (const entry of feed) {
        counts.set(entry.type, (counts.get(entry.type) ?? 0) + 1);
    }
    return counts;
}
