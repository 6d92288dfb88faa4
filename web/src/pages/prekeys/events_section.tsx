// The feed: what happens, as it happens. Newest first; filters by type and text; a pause that keeps
// what is on the screen still while the page goes on collecting (bounded, see feedMax).
import { useMemo, useState } from 'preact/hooks';
import { announce } from '../../console/announcer.tsx';
import { useNow } from '../../console/clock.ts';
import { ago, formatClock, formatCount, formatFullTime, plural } from '../../ui/format.ts';
import { IconPause, IconPlay } from '../../ui/icons.tsx';
import { Section } from '../../ui/panel.tsx';
import { countByType, describe, eventTypes, kindOf, matches } from './events.ts';
import { type FeedEntry, type Model, feedMax, serverTime } from './model.ts';

const rowsPerPage = 60;

interface Frozen {
    readonly feed: readonly FeedEntry[];
    readonly total: number;
}

export function EventsSection({ model }: { model: Model }) {
    const [frozen, setFrozen] = useState<Frozen | null>(null);
    const [types, setTypes] = useState<ReadonlySet<string>>(new Set());
    const [text, setText] = useState('');
    const [rows, setRows] = useState(rowsPerPage);
    const feed = frozen?.feed ?? model.feed;
    const shown = useMemo(
        () => feed.filter((entry) => matches(entry, { types, text })),
        [feed, types, text],
    );

    const togglePause = () => {
        const pausing = frozen === null;
        setFrozen(pausing ? { feed: model.feed, total: model.feedTotal } : null);
        announce(pausing ? 'The event feed is paused.' : 'The event feed goes on.');
    };
    const toggleType = (type: string) => {
        const next = new Set(types);
        if (!next.delete(type)) {
            next.add(type);
        }
        setTypes(next);
        setRows(rowsPerPage);
    };

    return (
        <Section
            id="events"
            title="Events"
            lead={`As they happen. This page keeps the newest ${formatCount(feedMax)}; events never carry key material.`}
            aside={
                <div class="feed-tools">
                    <input
                        type="search"
                        class="field"
                        placeholder="Filter by text or hash"
                        aria-label="Filter events by text"
                        value={text}
                        onInput={(event) => {
                            setText(event.currentTarget.value);
                            setRows(rowsPerPage);
                        }}
                    />
                    <button
                        type="button"
                        class="button"
                        aria-pressed={frozen !== null}
                        onClick={togglePause}
                        data-testid="pause"
                    >
                        {frozen === null ? <IconPause /> : <IconPlay />}
                        {frozen === null ? 'Pause' : 'Resume'}
                    </button>
                </div>
            }
        >
            <div class="panel span-full feed-panel">
                <TypeFilter
                    feed={feed}
                    types={types}
                    onToggle={toggleType}
                    onClear={() => setTypes(new Set())}
                />
                {frozen !== null && (
                    <p class="feed-paused" data-testid="paused">
                        Paused. {plural(model.feedTotal - frozen.total, 'event has', 'events have')}{' '}
                        arrived since.
                    </p>
                )}
                {shown.length === 0 ? (
                    <p class="empty">
                        {feed.length === 0 ? 'Nothing has happened yet.' : 'No event matches.'}
                    </p>
                ) : (
                    <Feed entries={shown.slice(0, rows)} now={serverTime(model, useNow())} />
                )}
                {shown.length > rows && (
                    <button
                        type="button"
                        class="button"
                        onClick={() => setRows(rows + 4 * rowsPerPage)}
                    >
                        Show more ({formatCount(shown.length - rows)} left)
                    </button>
                )}
            </div>
        </Section>
    );
}

function TypeFilter(props: {
    feed: readonly FeedEntry[];
    types: ReadonlySet<string>;
    onToggle(type: string): void;
    onClear(): void;
}) {
    const counts = useMemo(() => countByType(props.feed), [props.feed]);
    const others = [...counts.keys()].filter((type) => !eventTypes.includes(type));
    const offered = [...eventTypes, ...others].filter(
        (type) => counts.has(type) || props.types.has(type),
    );
    if (offered.length === 0) {
        return null;
    }
    return (
        <div class="chips" role="group" aria-label="Filter events by type">
            <button
                type="button"
                class="chip"
                aria-pressed={props.types.size === 0}
                onClick={props.onClear}
            >
                All <span class="chip-count">{formatCount(props.feed.length)}</span>
            </button>
            {offered.map((type) => (
                <button
                    key={type}
                    type="button"
                    class="chip"
                    data-group={kindOf(type).group}
                    data-testid={`chip-${type}`}
                    aria-pressed={props.types.has(type)}
                    onClick={() => props.onToggle(type)}
                >
                    <span class="chip-dot" aria-hidden="true" />
                    {kindOf(type).label}{' '}
                    <span class="chip-count">{formatCount(counts.get(type) ?? 0)}</span>
                </button>
            ))}
        </div>
    );
}

function Feed({ entries, now }: { entries: readonly FeedEntry[]; now: number }) {
    return (
        <ol class="feed" tabIndex={0} aria-label="Events, newest first" data-testid="feed">
            {entries.map((entry) => (
                <FeedRow key={entry.key} entry={entry} age={ago(entry.at, now)} />
            ))}
        </ol>
    );
}

function FeedRow({ entry, age }: { entry: FeedEntry; age: string }) {
    const { event } = entry;
    const kind = kindOf(entry.type);
    const who = event.address ?? event.addressHash;
    return (
        <li
            class="feed-row"
            data-group={kind.group}
            data-type={entry.type}
            data-outcome={event.oneTime}
        >
            <time
                class="feed-time"
                dateTime={new Date(entry.at).toISOString()}
                title={`${formatFullTime(entry.at)}, ${age}`}
            >
                {formatClock(entry.at)}
            </time>
            <span class="feed-kind">{kind.label}</span>
            <span class="feed-what">
                {who !== undefined && <code class="hash">{who}</code>}
                <span>{describe(event)}</span>
                {event.ipPrefixHash !== undefined && (
                    <span class="soft">
                        from network <code class="hash">{event.ipPrefixHash}</code>
                    </span>
                )}
            </span>
        </li>
    );
}
