//! Reloading, last good versions, and following the disk in every way that files are replaced.

use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::*;
use crate::ruleset::fixtures::{CRM, Hook, Kept, Nobody, Rules};

const OPTIONS: RulesOptions = RulesOptions { watch: false, read_only: false, script_us: 200 };
/// How long a test waits for what should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn clock_at(millis: i64) -> Clock {
    Clock::manual(Timestamp::from_millis(millis))
}

fn try_start(rules: &Rules, kept: &Arc<Kept>, clock: &Clock) -> Result<Arc<RulesService>, NothingToServe> {
    let kept: Arc<dyn LastGood> = Arc::clone(kept) as _;
    RulesService::start(rules.root(), kept, clock.clone(), OPTIONS, Box::new(Nobody))
}

fn start(rules: &Rules) -> Arc<RulesService> {
    try_start(rules, &Arc::default(), &clock_at(1)).ok().unwrap()
}

fn attributes(live: &LiveRules, id: &str) -> Option<usize> {
    live.systems.get(id).map(|rules| rules.attributes_used())
}

fn report_of<'l>(live: &'l LiveRules, id: &str) -> &'l SystemReport {
    live.reports.iter().find(|report| report.system == id).unwrap()
}

const ONE: &str = "user_identifier = \"id\"\n[[properties]]\nfield = \"a\"\ntype = \"string\"\n";

#[test]
fn a_change_goes_live_and_what_did_not_change_stays_the_same_value() {
    let rules = Rules::new(&[("a/integrations/crm.toml", CRM), ("b/integrations/crm.toml", CRM)]);
    let clock = clock_at(1);
    let service = try_start(&rules, &Arc::default(), &clock).ok().unwrap();
    let before = service.live();
    clock.set(Timestamp::from_millis(2));
    rules.put("a/integrations/crm.toml", ONE);
    let after = service.reload();
    assert_eq!((attributes(&before, "a"), attributes(&after, "a")), (Some(3), Some(1)));
    assert!(Arc::ptr_eq(&before.systems["b"], &after.systems["b"]));
    assert_eq!(report_of(&after, "a").live_since, Some(Timestamp::from_millis(2)));
    assert_eq!(report_of(&after, "b").live_since, Some(Timestamp::from_millis(1)));
    assert!(Arc::ptr_eq(&after, &service.reload()), "without a change nothing is swapped");
}

#[test]
fn a_broken_version_changes_nothing_and_is_told_with_file_and_line() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let service = start(&rules);
    let before = service.live();
    rules.put("default/integrations/erp.toml", CRM);
    rules.put("default/integrations/crm.toml", "user_identifier = \"Email\"\nnaem = 1");
    let broken = service.reload();
    assert!(Arc::ptr_eq(&before.systems["default"], &broken.systems["default"]), "not even the good file goes live");
    let report = report_of(&broken, "default");
    assert!(report.serves_last_good());
    assert_eq!(report.revision, report_of(&before, "default").revision);
    assert_eq!((report.errors[0].file.as_str(), report.errors[0].line), ("default/integrations/crm.toml", 2));
    rules.put("default/integrations/crm.toml", CRM);
    let mended = service.reload();
    assert_eq!(attributes(&mended, "default"), Some(6));
    assert!(!report_of(&mended, "default").serves_last_good());
}

#[test]
fn taking_a_mistake_back_brings_no_new_version() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let service = start(&rules);
    let before = service.live();
    rules.put("default/notes.txt", "");
    assert_eq!(report_of(&service.reload(), "default").errors[0].file, "default/notes.txt");
    fs::remove_file(rules.root().join("default/notes.txt")).unwrap();
    let after = service.reload();
    assert!(Arc::ptr_eq(&before.systems["default"], &after.systems["default"]));
    assert_eq!(report_of(&after, "default").errors, []);
}

#[test]
fn systems_come_and_go_with_their_folders() {
    let rules = Rules::new(&[("default/system.toml", "")]);
    let kept = Arc::new(Kept::default());
    let service = try_start(&rules, &kept, &clock_at(1)).ok().unwrap();
    rules.put("other/integrations/crm.toml", CRM);
    assert_eq!(attributes(&service.reload(), "other"), Some(3));
    assert!(kept.text("other", "integrations/crm.toml").is_some());
    fs::remove_dir_all(rules.root().join("other")).unwrap();
    let live = service.reload();
    assert!(!live.systems.contains_key("other") && live.reports.len() == 1);
    assert_eq!(kept.text("other", "integrations/crm.toml"), None, "a removed system is not brought back");
}

#[test]
fn each_good_version_is_kept_and_a_broken_one_is_not() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let kept = Arc::new(Kept::default());
    let service = try_start(&rules, &kept, &clock_at(1)).ok().unwrap();
    let text = || kept.text("default", "integrations/crm.toml").unwrap();
    assert_eq!(*text(), *CRM);
    rules.put("default/integrations/crm.toml", ONE);
    service.reload();
    assert_eq!(*text(), *ONE);
    rules.put("default/integrations/crm.toml", "broken");
    service.reload();
    assert_eq!(*text(), *ONE);
}

#[test]
fn a_restart_onto_a_broken_tree_serves_the_last_good_version() {
    let rules = Rules::new(&[("default/integrations/crm.toml", "broken")]);
    let kept = Kept::with("default", &[("integrations/crm.toml", CRM)]);
    let service = try_start(&rules, &kept, &clock_at(5)).ok().unwrap();
    let live = service.live();
    assert_eq!(attributes(&live, "default"), Some(3));
    let report = report_of(&live, "default");
    assert!(report.serves_last_good());
    assert_eq!((report.live_since, report.errors[0].line), (Some(Timestamp::from_millis(5)), 1));
    assert_eq!(*kept.text("default", "integrations/crm.toml").unwrap(), *CRM);
    assert!(Arc::ptr_eq(&live, &service.reload()));
    rules.put("default/integrations/crm.toml", ONE);
    assert_eq!(attributes(&service.reload(), "default"), Some(1));
}

#[test]
fn a_system_that_never_was_good_is_not_served_but_told_of() {
    let rules = Rules::new(&[("default/system.toml", ""), ("other/system.toml", "x"), ("Nope/system.toml", "")]);
    let live = start(&rules).live();
    assert_eq!(live.systems.keys().map(SystemId::as_str).collect::<Vec<_>>(), ["default"]);
    assert_eq!(report_of(&live, "other").revision, None);
    assert!(!report_of(&live, "other").serves_last_good() && !report_of(&live, "other").errors.is_empty());
    assert!(report_of(&live, "Nope").errors[0].message.contains("no valid system id"));
}

#[test]
fn with_nothing_to_serve_the_start_fails_and_says_why() {
    let empty = Rules::new(&[]);
    let kept = Kept::with("default", &[("system.toml", "")]);
    let refused = try_start(&empty, &kept, &clock_at(1)).err().unwrap();
    assert!(refused.reports[0].errors[0].message.contains("holds no system"));
    assert!(
        kept.text("default", "system.toml").is_some(),
        "perhaps only the wrong folder was named: nothing is dropped"
    );

    let broken = Rules::new(&[("default/system.toml", "x")]);
    let refused = try_start(&broken, &Arc::default(), &clock_at(1)).err().unwrap();
    assert_eq!((refused.reports[0].system.as_str(), refused.reports[0].errors[0].line), ("default", 1));
}

#[test]
fn without_a_rules_folder_what_is_live_or_kept_stays() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let kept = Arc::new(Kept::default());
    let service = try_start(&rules, &kept, &clock_at(1)).ok().unwrap();
    let before = service.live();
    let away = rules.outside().join("away");
    fs::rename(rules.root(), &away).unwrap();
    let without = service.reload();
    assert!(Arc::ptr_eq(&before.systems["default"], &without.systems["default"]));
    assert!(report_of(&without, "default").errors[0].message.contains("can't be read"));
    let restarted = try_start(&rules, &kept, &clock_at(2)).ok().unwrap();
    assert_eq!(attributes(&restarted.live(), "default"), Some(3));
    fs::rename(&away, rules.root()).unwrap();
    let back = service.reload();
    assert!(Arc::ptr_eq(&before.systems["default"], &back.systems["default"]));
    assert_eq!(report_of(&back, "default").errors, []);
}

#[test]
fn a_link_to_nothing_in_place_of_a_system_keeps_it_live() {
    let rules = Rules::new(&[(".one/integrations/crm.toml", CRM)]);
    let link = rules.root().join("default");
    std::os::unix::fs::symlink(".one", &link).unwrap();
    let service = start(&rules);
    fs::remove_dir_all(rules.root().join(".one")).unwrap();
    let live = service.reload();
    assert_eq!(attributes(&live, "default"), Some(3));
    assert!(report_of(&live, "default").errors[0].message.contains("symbolic link to nothing"));
}

#[test]
fn the_hook_is_called_before_each_swap_with_both_versions() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let (seen, calls) = channel();
    let hook = Box::new(Hook(move |old: &LiveRules, new: &LiveRules| {
        seen.send((attributes(old, "default"), attributes(new, "default"))).unwrap();
    }));
    let service =
        RulesService::start(rules.root(), Arc::new(Kept::default()), clock_at(1), OPTIONS, hook).ok().unwrap();
    rules.put("default/integrations/crm.toml", ONE);
    service.reload();
    service.reload();
    assert_eq!(calls.try_iter().collect::<Vec<_>>(), [(None, Some(3)), (Some(3), Some(1))]);
}

/// A service that follows its folder, and tells of each swap.
struct Followed {
    rules: Rules,
    service: Arc<RulesService>,
    swaps: Receiver<()>,
}

impl Followed {
    fn new(rules: Rules) -> Self {
        let root = rules.root();
        Self::at(rules, root)
    }
    fn at(rules: Rules, root: PathBuf) -> Self {
        let (swapped, swaps) = channel();
        let hook = Box::new(Hook(move |_: &LiveRules, _: &LiveRules| swapped.send(()).unwrap_or_default()));
        let options = RulesOptions { watch: true, ..OPTIONS };
        let service = RulesService::start(root, Arc::new(Kept::default()), clock_at(1), options, hook).ok().unwrap();
        Self { rules, service, swaps }
    }
    /// Waits until what is live is as it should be; the poll alone would come too late.
    #[track_caller]
    fn until(&self, what: &str, condition: impl Fn(&LiveRules) -> bool) {
        let start = Instant::now();
        while !condition(&self.service.live()) {
            let left = (PATIENCE / 4).checked_sub(start.elapsed());
            assert!(left.is_some(), "{what}: not live; reports: {:#?}", self.service.live().reports);
            // The swap follows its signal at once: look again soon.
            let _ = self.swaps.recv_timeout(Duration::from_millis(5));
        }
    }
    #[track_caller]
    fn until_attributes(&self, what: &str, expected: usize) {
        self.until(what, |live| attributes(live, "default") == Some(expected));
    }
}

#[test]
fn a_file_written_in_place_or_renamed_over_goes_live() {
    let followed = Followed::new(Rules::new(&[("default/integrations/crm.toml", CRM)]));
    followed.rules.put("default/integrations/crm.toml", ONE);
    followed.until_attributes("written in place", 1);
    let folder = followed.rules.root().join("default/integrations");
    for (round, text) in [CRM, ONE, CRM].into_iter().enumerate() {
        fs::write(folder.join(".crm.toml.new"), text).unwrap();
        fs::rename(folder.join(".crm.toml.new"), folder.join("crm.toml")).unwrap();
        followed.until_attributes(&format!("renamed over, round {round}"), if text == CRM { 3 } else { 1 });
    }
    fs::remove_file(folder.join("crm.toml")).unwrap();
    followed.until_attributes("removed", 0);
}

#[test]
fn new_folders_and_what_is_written_in_them_later_go_live() {
    let followed = Followed::new(Rules::new(&[("default/system.toml", "")]));
    let has = |id: &'static str, count| move |live: &LiveRules| attributes(live, id) == Some(count);
    fs::create_dir(followed.rules.root().join("other")).unwrap();
    followed.until("a new system", has("other", 0));
    fs::create_dir(followed.rules.root().join("other/integrations")).unwrap();
    followed.rules.put("other/integrations/crm.toml", CRM);
    followed.until("a file in a new folder", has("other", 3));
    followed.rules.put("other/integrations/crm.toml", ONE);
    followed.until("that file changed", has("other", 1));
    fs::remove_dir_all(followed.rules.root().join("other")).unwrap();
    followed.until("a removed system", |live| !live.systems.contains_key("other"));
    followed.rules.put("other/integrations/crm.toml", CRM);
    followed.until("the system again", has("other", 3));
    followed.rules.put("other/integrations/crm.toml", ONE);
    followed.until("a change in it", has("other", 1));
}

#[test]
fn many_files_replaced_as_git_does_it_go_live() {
    let files = |name: &str| -> Vec<(String, String)> {
        let text = |i| format!("name = \"{name}\"\n{CRM}# {i}");
        (0..20).map(|i| (format!("default/integrations/i{i}.toml"), text(i))).collect()
    };
    let rules = Rules::new(&[]);
    files("0").iter().for_each(|(path, text)| rules.put(path, text));
    let followed = Followed::new(rules);
    for round in ["1", "2", "3"] {
        for (path, text) in files(round) {
            fs::remove_file(followed.rules.root().join(&path)).unwrap();
            followed.rules.put(&path, &text);
        }
        followed.until(&format!("round {round}"), |live| {
            let integrations = &live.systems["default"].integrations;
            integrations.len() == 20 && integrations.values().all(|integration| integration.name == round)
        });
    }
}

#[test]
fn a_swapped_data_link_goes_live_as_kubernetes_does_it() {
    let mount = "default/integrations";
    let rules = Rules::new(&[("default/integrations/..2024_1/crm.toml", CRM)]);
    let folder = rules.root().join(mount);
    std::os::unix::fs::symlink("..2024_1", folder.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/crm.toml", folder.join("crm.toml")).unwrap();
    let followed = Followed::new(rules);
    assert_eq!(attributes(&followed.service.live(), "default"), Some(3));
    for (number, text, count) in [(2, ONE, 1), (3, CRM, 3), (4, ONE, 1)] {
        followed.rules.put(&format!("{mount}/..2024_{number}/crm.toml"), text);
        std::os::unix::fs::symlink(format!("..2024_{number}"), folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        fs::remove_dir_all(folder.join(format!("..2024_{}", number - 1))).unwrap();
        followed.until_attributes(&format!("swap {number}"), count);
    }
}

#[test]
fn a_rules_folder_renamed_over_goes_live_and_is_followed_on() {
    let followed = Followed::new(Rules::new(&[("default/integrations/crm.toml", CRM)]));
    let outside = followed.rules.outside().to_path_buf();
    for round in 0..2 {
        let next = outside.join("next");
        fs::create_dir_all(next.join("default/integrations")).unwrap();
        fs::write(next.join("default/integrations/crm.toml"), ONE).unwrap();
        fs::rename(followed.rules.root(), outside.join(format!("old{round}"))).unwrap();
        fs::rename(&next, followed.rules.root()).unwrap();
        followed.until_attributes("renamed over", 1);
        followed.rules.put("default/integrations/crm.toml", CRM);
        followed.until_attributes("a change after it", 3);
    }
}

#[test]
fn a_release_link_above_the_rules_is_followed_when_it_is_switched() {
    let rules = Rules::new(&[]);
    let release = |name: &str, text: &str| {
        let folder = rules.outside().join("releases").join(name).join("rules/default/integrations");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("crm.toml"), text).unwrap();
    };
    release("1", CRM);
    release("2", ONE);
    let current = rules.outside().join("current");
    std::os::unix::fs::symlink("releases/1", &current).unwrap();
    let followed = Followed::at(rules, current.join("rules"));
    let next = followed.rules.outside().join("next");
    std::os::unix::fs::symlink("releases/2", &next).unwrap();
    fs::rename(&next, &current).unwrap();
    followed.until_attributes("switched", 1);
    fs::write(current.join("rules/default/integrations/crm.toml"), CRM).unwrap();
    followed.until_attributes("a change in the new release", 3);
}

#[test]
fn a_broken_file_is_told_while_following_and_the_old_rules_stay() {
    let followed = Followed::new(Rules::new(&[("default/integrations/crm.toml", CRM)]));
    followed.rules.put("default/integrations/crm.toml", "oops");
    followed.until("told", |live| !report_of(live, "default").errors.is_empty());
    assert_eq!(attributes(&followed.service.live(), "default"), Some(3));
    followed.rules.put("default/integrations/crm.toml", ONE);
    followed.until_attributes("mended", 1);
}

#[test]
fn the_service_ends_when_it_is_dropped_though_it_follows() {
    let followed = Followed::new(Rules::new(&[("default/system.toml", "")]));
    let Followed { rules, service, swaps } = followed;
    assert!(swaps.recv_timeout(PATIENCE).is_ok(), "the first load");
    let weak = Arc::downgrade(&service);
    drop(service);
    // The hook lives in the service: its channel closes when the last of it is gone.
    assert_eq!(swaps.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    assert!(weak.upgrade().is_none());
    drop(rules);
}

#[test]
fn a_file_in_place_of_a_systems_folder_keeps_it_live() {
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM)]);
    let service = start(&rules);
    fs::remove_dir_all(rules.root().join("default")).unwrap();
    rules.put("default", "");
    let live = service.reload();
    assert_eq!(attributes(&live, "default"), Some(3));
    assert!(report_of(&live, "default").serves_last_good());
}

#[test]
fn a_slow_script_is_refused_when_new_and_warned_of_at_a_start() {
    let script = "let n = 0; while n < 9 { n += 1; } crm.Seats > n";
    let rules = Rules::new(&[("default/integrations/crm.toml", CRM), ("default/segments/slow.rhai", script)]);
    let hook = Box::new(Hook(|_: &LiveRules, _: &LiveRules| {}));
    let service =
        RulesService::start(rules.root(), Arc::new(Kept::default()), clock_at(1), OPTIONS, hook).ok().unwrap();
    let live = service.live();
    let report = report_of(&live, "default");
    assert!(report.errors.is_empty());
    assert_eq!(report.warnings[0].file, "default/segments/slow.rhai");
    assert!(
        report.warnings[0].message.contains("takes 250 µs an end user on average"),
        "{}",
        report.warnings[0].message
    );

    rules.put("default/segments/other.rhai", script);
    let live = service.reload();
    let report = report_of(&live, "default");
    assert_eq!(report.errors.len(), 1, "only the new one: {:?}", report.errors);
    assert_eq!(report.errors[0].file, "default/segments/other.rhai");
    let mut files = live.systems["default"].files.clone();
    files.insert("segments/other.rhai".to_owned(), script.into());
    let drafted = |timed| service.draft(&"default".parse().unwrap(), &files, timed).map_err(|errors| errors.len());
    assert_eq!(drafted(true).map(|_| ()), Err(1));
    let untimed = drafted(false).unwrap();
    assert!(untimed.warnings.is_empty(), "who may not see everybody is not told how long they take");
    rules.put("default/segments/other.rhai", "crm.Seats > 9");
    assert!(report_of(&service.reload(), "default").errors.is_empty());
}
