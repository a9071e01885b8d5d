// What every page does beyond HTML. Each part works on what the page's HTML says in `data-…`; without scripts, the links
// and forms that it improves lead to pages that do the same.
import "./dialogs.js";
import "./menus.js";
import "./small.js";
