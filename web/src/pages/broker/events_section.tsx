// The feed of the broker's observer.
import { EventsSection, type EventView } from '../../ui/event_feed.tsx';
import type { BrokerEvent } from './api.ts';
import { describe, eventTypes, kindOf, matches } from './events.ts';
import type { Model } from './model.ts';

const view: EventView<BrokerEvent> = {
    types: eventTypes,
    kindOf,
    matches,
    what: (event) => <What event={event} />,
};

export function BrokerEvents({ model }: { model: Model }) {
    return (
        <EventsSection
            model={model}
            view={view}
            never="content or full keys"
            placeholder="Filter by text"
            clockOffsetMs={model.clockOffsetMs}
        />
    );
}

function What({ event }: { event: BrokerEvent }) {
    return (
        <>
            {event.name !== undefined && <strong class="feed-name">{event.name}</strong>}
            {event.key !== undefined && <code class="hash">{event.key}</code>}
            <span>{describe(event)}</span>
            {event.mesh !== undefined && <span class="soft">in {event.mesh}</span>}
        </>
    );
}
