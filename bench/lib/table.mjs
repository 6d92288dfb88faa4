// Columns as wide as their widest cell; the first one left, the others right.
export function printTable(title, header, rows) {
    const lines = [header, ...rows.map((row) => row.map(String))];
    const widths = header.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
    console.log(`\n${title}`);
    lines.forEach((line, index) => {
        const cells = line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])));
        console.log(`  ${cells.join('  ')}`);
        if (index === 0) {
            console.log(`  ${widths.map((width) => '-'.repeat(width)).join('  ')}`);
        }
    });
}

export const thousands = (value) => Math.round(value).toLocaleString('en-US');
export const times = (value) => `${value.toFixed(2)}x`;
export const ms = (value) => value.toFixed(2);
