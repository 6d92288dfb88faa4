// The feed of the prekeys observer.
import { EventsSection, type EventView } from '../../ui/event_feed.tsx';
import type { ObserverEvent } from './api.ts';
import { describe, eventTypes, kindOf, matches } from './events.ts';
import type { Model } from './model.ts';

const view: EventView<ObserverEvent> = {
    types: eventTypes,
    kindOf,
    matches,
    what: (event) => <What event={event} />,
    outcome: (event) => event.oneTime,
};

export function PrekeysEvents({ model }: { model: Model }) {
    return (
        <EventsSection
            model={model}
            view={view}
            never="key material"
            placeholder="Filter by text or hash"
            clockOffsetMs={model.clockOffsetMs}
        />
    );
}

function What({ event }: { event: ObserverEvent }) {
    const who = event.address ?? event.addressHash;
    return (
        <>
            {who !== undefined && <code class="hash">{who}</code>}
            <span>{describe(event)}</span>
            {event.ipPrefixHash !== undefined && (
                <span class="soft">
                    from network <code class="hash">{event.ipPrefixHash}</code>
                </span>
            )}
        </>
    );
}
