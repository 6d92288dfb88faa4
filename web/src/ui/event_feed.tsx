// The feed: what happens, as it happens. Newest first; filters by type and text; a pause that keeps
// what is on the screen still while the page goes on collecting (bounded, see feedMax).
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { announce } from '../console/announcer.tsx';
import { useNow } from '../console/clock.ts';
import {
    type Feed,
    type FeedEntry,
    type FeedFilter,
    type LoggedEvent,
    countByType,
    feedMax,
} from '../live/feed.ts';
import { ago, formatClock, formatCount, formatFullTime, plural } from './format.ts';
import { IconPause, IconPlay } from './icons.tsx';
import { Section } from './panel.tsx';

const rowsPerPage = 60;

// How the events of one service look.
export interface EventView<E extends LoggedEvent> {
    // Known types, in the order of the filter.
    readonly types: readonly string[];
    kindOf(type: string): { readonly label: string; readonly group: string };
    matches(entry: FeedEntry<E>, filter: FeedFilter): boolean;
    what(event: E): ComponentChildren;
    // Colours rows of one kind apart.
    outcome?(event: E): string | undefined;
}

interface Frozen<E extends LoggedEvent> {
    readonly feed: readonly FeedEntry<E>[];
    readonly total: number;
}

export function EventsSection<E extends LoggedEvent>(props: {
    model: Feed<E>;
    view: EventView<E>;
    // What is never in an event: "key material".
    never: string;
    placeholder: string;
    clockOffsetMs: number;
}) {
    const { model, view } = props;
    const [frozen, setFrozen] = useState<Frozen<E> | null>(null);
    const [types, setTypes] = useState<ReadonlySet<string>>(new Set());
    const [text, setText] = useState('');
    const [rows, setRows] = useState(rowsPerPage);
    const feed = frozen?.feed ?? model.feed;
    const shown = useMemo(
        () => feed.filter((entry) => view.matches(entry, { types, text })),
        [feed, types, text, view],
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
            lead={`As they happen. This page keeps the newest ${formatCount(feedMax)}; events never carry ${props.never}.`}
            aside={
                <div class="feed-tools">
                    <input
                        type="search"
                        class="field"
                        placeholder={props.placeholder}
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
                    view={view}
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
                    <Rows
                        entries={shown.slice(0, rows)}
                        view={view}
                        now={useNow() - props.clockOffsetMs}
                    />
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

function TypeFilter<E extends LoggedEvent>(props: {
    feed: readonly FeedEntry<E>[];
    view: EventView<E>;
    types: ReadonlySet<string>;
    onToggle(type: string): void;
    onClear(): void;
}) {
    const { view } = props;
    const counts = useMemo(() => countByType(props.feed), [props.feed]);
    const others = [...counts.keys()].filter((type) => !view.types.includes(type));
    const offered = [...view.types, ...others].filter(
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
                    data-group={view.kindOf(type).group}
                    data-testid={`chip-${type}`}
                    aria-pressed={props.types.has(type)}
                    onClick={() => props.onToggle(type)}
                >
                    <span class="chip-dot" aria-hidden="true" />
                    {view.kindOf(type).label}{' '}
                    <span class="chip-count">{formatCount(counts.get(type) ?? 0)}</span>
                </button>
            ))}
        </div>
    );
}

function Rows<E extends LoggedEvent>(props: {
    entries: readonly FeedEntry<E>[];
    view: EventView<E>;
    now: number;
}) {
    return (
        <ol class="feed" tabIndex={0} aria-label="Events, newest first" data-testid="feed">
            {props.entries.map((entry) => (
                <Row
                    key={entry.key}
                    entry={entry}
                    view={props.view}
                    age={ago(entry.at, props.now)}
                />
            ))}
        </ol>
    );
}

function Row<E extends LoggedEvent>(props: {
    entry: FeedEntry<E>;
    view: EventView<E>;
    age: string;
}) {
    const { entry, view } = props;
    const kind = view.kindOf(entry.type);
    return (
        <li
            class="feed-row"
            data-group={kind.group}
            data-type={entry.type}
            data-outcome={view.outcome?.(entry.event)}
        >
            <time
                class="feed-time"
                dateTime={new Date(entry.at).toISOString()}
                title={`${formatFullTime(entry.at)}, ${props.age}`}
            >
                {formatClock(entry.at)}
            </time>
            <span class="feed-kind">{kind.label}</span>
            <span class="feed-what">{view.what(entry.event)}</span>
        </li>
    );
}
