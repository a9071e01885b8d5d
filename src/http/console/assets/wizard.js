// A pasted sample has its fields proposed at once.
const sample = document.getElementById("sample");
const button = document.querySelector("[data-proposes]");

sample?.addEventListener("paste", () => {
  if (!sample.value.trim()) setTimeout(() => button.click());
});
