// Is anything wrong with the directory of prekeys.
import { useNow } from '../../console/clock.ts';
import { HealthSection } from '../../ui/health.tsx';
import { alertsOf } from './alerts.ts';
import { type Model, serverTime } from './model.ts';

const places = ['Traffic', 'Stock', 'Refusals', 'Upkeep', 'Events'];

export function PrekeysHealth({ model }: { model: Model }) {
    const now = serverTime(model, useNow());
    return (
        <HealthSection
            title="Prekeys"
            alerts={alertsOf(model, now)}
            server={model.state}
            places={places}
            now={now}
        />
    );
}
