// Numbers, rates, times and ages as an operator reads them. All durations are milliseconds.

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 2 });
const clockTime = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
const shortClockTime = new Intl.DateTimeFormat('en', {
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
});
const fullTime = new Intl.DateTimeFormat('en', {
    dateStyle: 'medium',
    timeStyle: 'medium',
    hourCycle: 'h23',
});

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

export function formatCount(value: number): string {
    return Math.abs(value) < 10_000_000 ? grouped.format(value) : compact.format(value);
}

export function formatPercent(part: number, whole: number): string {
    if (whole === 0) {
        return '–';
    }
    const percent = (100 * part) / whole;
    if (percent > 0 && percent < 0.1) {
        return '<0.1 %';
    }
    if (percent < 100 && percent > 99.9) {
        return '>99.9 %';
    }
    return `${percent >= 10 || percent === 0 ? Math.round(percent * 10) / 10 : percent.toFixed(1)} %`;
}

export interface Quantity {
    readonly value: string;
    readonly unit: string;
}

// Two or three digits that matter: 0, 0.42, 6.4, 24, 1,930.
function significant(value: number): string {
    if (value === 0 || value >= 10) {
        return grouped.format(value);
    }
    return value.toFixed(value >= 1 ? 1 : 2).replace(/\.?0+$/, '');
}

// Slow traffic reads better per minute: "3 per minute" rather than "0.05 per second".
export function formatRate(perSecond: number): Quantity {
    if (perSecond > 0 && perSecond < 1) {
        return { value: significant(perSecond * 60), unit: 'per minute' };
    }
    return { value: significant(perSecond), unit: 'per second' };
}

export function formatClock(at: number): string {
    return clockTime.format(at);
}

export function formatShortClock(at: number): string {
    return shortClockTime.format(at);
}

export function formatFullTime(at: number): string {
    return fullTime.format(at);
}

function inUnits(count: number, unit: string): string {
    return `${count} ${unit}${count === 1 ? '' : 's'}`;
}

// "12 seconds", "3 minutes", "2 hours", "5 days".
export function ageInWords(age: number): string {
    if (age < minute) {
        return inUnits(Math.max(1, Math.floor(age / second)), 'second');
    }
    if (age < hour) {
        return inUnits(Math.floor(age / minute), 'minute');
    }
    if (age < 2 * day) {
        return inUnits(Math.floor(age / hour), 'hour');
    }
    return inUnits(Math.floor(age / day), 'day');
}

export function ago(at: number | null, now: number): string {
    if (at === null) {
        return 'never';
    }
    const age = now - at;
    return age < 2 * second ? 'just now' : `${ageInWords(age)} ago`;
}

// "3 d 4 h", "12 min": for narrow places.
export function formatDuration(length: number): string {
    if (length < minute) {
        return `${Math.max(0, Math.floor(length / second))} s`;
    }
    if (length < hour) {
        return `${Math.floor(length / minute)} min`;
    }
    if (length < day) {
        return `${Math.floor(length / hour)} h ${Math.floor((length % hour) / minute)} min`;
    }
    return `${Math.floor(length / day)} d ${Math.floor((length % day) / hour)} h`;
}

export function countdown(remaining: number): string {
    return remaining < second ? 'now' : `in ${Math.ceil(remaining / second)} s`;
}

export function plural(count: number, one: string, many: string): string {
    return `${formatCount(count)} ${count === 1 ? one : many}`;
}

// 0 B, 640 B, 12 KB, 1.5 MB; 1 KB is 1,024 bytes.
export function formatBytes(bytes: number): string {
    if (bytes < 1024) {
        return `${bytes} B`;
    }
    const inKb = bytes / 1024;
    return inKb < 1024 ? `${significant(inKb)} KB` : `${significant(inKb / 1024)} MB`;
}
