// Figures in words.

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function bytes(count) {
  if (count === null || count === undefined) return '–';
  let [value, unit] = [count, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

export function percent(value) {
  return value === null || value === undefined ? '–' : `${value < 10 ? value.toFixed(1) : Math.round(value)}\u00a0%`;
}

export function share(part, whole) {
  return whole > 0 ? `${Math.round((100 * part) / whole)}\u00a0%` : '–';
}

export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}

export function ago(moment, now) {
  const ms = typeof moment === 'string' ? Date.parse(moment) : moment;
  return ms ? `${span(now - ms)} ago` : 'never';
}

// What a program says, as people write it.
export function sentence(said) {
  const words = String(said).trim();
  return words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? '' : '.');
}

export function count(number, one, many) {
  return `${number} ${number === 1 ? one : many}`;
}
