//! What stands around every page: the bar with the system's menu and the operator's own, and the navigation.
//!
//! Owns the list of sections and who sees which. Knows nothing of what is on a page. Invariant: the navigation leads only
//! where the operator may go.

use std::fmt;

use askama::filters::HtmlSafe;

use super::assets;
use super::flash::Flash;
use super::icons;
use super::visit::Operator;
use crate::accounts::Principal;
use crate::model::{Permission, SystemId};
use crate::ruleset::Stage;

/// A place in the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Section {
    Home,
    /// One system at a glance.
    Overview,
    Integrations,
    Segments,
    Insights,
    EndUsers,
    /// Who has access to one system.
    SystemUsers,
    Users,
    Systems,
    Clients,
    Audit,
    Profile,
    /// Nowhere in the navigation.
    Elsewhere,
}

/// The sections of a system, in the order of the navigation.
const OF_SYSTEM: [Section; 4] = [Section::Integrations, Section::Segments, Section::Insights, Section::EndUsers];
/// The sections of the account.
const OF_ACCOUNT: [Section; 4] = [Section::Users, Section::Systems, Section::Clients, Section::Audit];

impl Section {
    /// What it is called.
    fn text(self) -> &'static str {
        match self {
            Self::Home => "Home",
            Self::Overview => "Overview",
            Self::Integrations => "Integrations",
            Self::Segments => "Segments",
            Self::Insights => "Insights",
            Self::EndUsers => "End users",
            Self::SystemUsers | Self::Users => "Users",
            Self::Systems => "Systems",
            Self::Clients => "Clients",
            Self::Audit => "Audit",
            Self::Profile => "Profile",
            Self::Elsewhere => "",
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Home | Self::Elsewhere => "home",
            Self::Overview => "pulse",
            Self::Integrations => "plug",
            Self::Segments => "layers",
            Self::Insights => "chart",
            Self::EndUsers => "person",
            Self::SystemUsers | Self::Users => "people",
            Self::Systems => "boxes",
            Self::Clients => "key",
            Self::Audit => "list",
            Self::Profile => "person",
        }
    }

    /// Its path below a system's, where it is a system's.
    fn below_system(self) -> Option<&'static str> {
        match self {
            Self::Overview => Some(""),
            Self::Integrations => Some("/integrations"),
            Self::Segments => Some("/segments"),
            Self::Insights => Some("/insights"),
            Self::EndUsers => Some("/end-users"),
            Self::SystemUsers => Some("/users"),
            _ => None,
        }
    }

    fn path(self, system: Option<&SystemId>) -> String {
        match (self, self.below_system(), system) {
            (_, Some(below), Some(system)) => format!("/console/systems/{system}{below}"),
            (Self::Users, ..) => "/console/users".to_owned(),
            (Self::Systems, ..) => "/console/systems".to_owned(),
            (Self::Clients, ..) => "/console/clients".to_owned(),
            (Self::Audit, ..) => "/console/audit".to_owned(),
            (Self::Profile, ..) => "/console/profile".to_owned(),
            _ => super::HOME.to_owned(),
        }
    }

    /// Whether its page would open.
    fn is_for(self, who: &Principal, system: Option<&SystemId>) -> bool {
        let may = |permission| who.may(permission, system);
        match self {
            Self::Home | Self::Profile | Self::Elsewhere => true,
            Self::Overview => OF_SYSTEM.iter().any(|section| section.is_for(who, system)),
            Self::Integrations => may(Permission::IntegrationsRead),
            Self::Segments => may(Permission::SegmentsRead),
            Self::Insights => may(Permission::EndUsersRead) && may(Permission::SegmentsRead),
            Self::EndUsers => may(Permission::EndUsersRead),
            Self::SystemUsers => may(Permission::UsersRead),
            Self::Users => may(Permission::UsersRead) || may(Permission::AccessRequestsManage),
            Self::Systems => who.may(Permission::SystemsRead, None),
            Self::Clients => may(Permission::ClientsRead),
            Self::Audit => may(Permission::AuditRead),
        }
    }
}

/// Whether an operator has anything to do in a system.
pub(in crate::http) fn is_open_to(who: &Principal, system: &SystemId) -> bool {
    Section::Overview.is_for(who, Some(system))
}

/// A link of the navigation or of a menu.
pub(in crate::http) struct Link {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) icon: Icon,
    pub(super) current: bool,
}

/// Links under a heading.
pub(in crate::http) struct Group {
    pub(super) title: Option<String>,
    pub(super) links: Vec<Link>,
}

/// The system whose name stands in the bar.
pub(in crate::http) struct Place {
    pub(super) id: SystemId,
    pub(super) name: String,
    pub(super) is_test: bool,
}

/// What stands around a page; a template that extends `frame.html` has it as `frame`.
pub(in crate::http) struct Frame {
    /// The operator, as people call them.
    pub(super) name: String,
    pub(super) email: String,
    /// What every form of the page must carry; `token.html` puts it there.
    pub(super) token: String,
    pub(super) place: Option<Place>,
    /// The systems that the menu offers.
    pub(super) systems: Vec<Link>,
    pub(super) groups: Vec<Group>,
    /// Where Manage Users leads.
    pub(super) manage_users: Option<String>,
    /// Whether Manage Systems is there.
    pub(super) manage_systems: bool,
    /// What is said of what was just done.
    pub(super) said: Option<Flash>,
    pub(super) is_profile: bool,
}

impl Frame {
    pub(super) fn new(operator: &Operator, section: Section, system: Option<&SystemId>, said: Option<Flash>) -> Self {
        let who = operator.principal();
        let live = operator.state.rules.live();
        let open: Vec<_> = live.systems.iter().filter(|(id, _)| is_open_to(who, id)).collect();
        let here = open.iter().find(|(id, _)| Some(*id) == system).or_else(|| open.first());
        let place = here.map(|(id, rules)| Place {
            id: (*id).clone(),
            name: rules.settings.name.clone(),
            is_test: rules.settings.stage == Stage::Test,
        });
        let here = place.as_ref().map(|place| place.id.clone());
        let systems = open.iter().map(|(id, rules)| switch(who, section, id, &rules.settings.name, here.as_ref()));
        let user = &operator.signed_in.user;
        let name = format!("{} {}", user.first_name, user.last_name).trim().to_owned();
        let manage_users = here.as_ref().filter(|id| Section::SystemUsers.is_for(who, Some(id)));
        Self {
            name: if name.is_empty() { user.username.clone() } else { name },
            email: user.email.clone(),
            token: operator.state.accounts.form_token(&operator.signed_in.session),
            systems: systems.collect(),
            groups: groups(who, section, place.as_ref()),
            manage_users: manage_users.map(|id| Section::SystemUsers.path(Some(id))),
            manage_systems: Section::Systems.is_for(who, None),
            said,
            is_profile: section == Section::Profile,
            place,
        }
    }

    /// The address of a file that the page loads.
    pub(super) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// A small drawing.
    pub(super) fn icon(&self, name: &str) -> Icon {
        Icon::new(name)
    }

    /// One or two letters that stand for the operator.
    pub(super) fn initials(&self) -> String {
        initials(&self.name)
    }
}

/// One or two letters that stand for somebody.
fn initials(name: &str) -> String {
    let letters = name.split(|c: char| !c.is_alphanumeric()).filter_map(|word| word.chars().next());
    letters.take(2).flat_map(char::to_uppercase).collect()
}

/// Where switching to a system leads: to the same section there, if that is open.
fn switch(who: &Principal, section: Section, id: &SystemId, name: &str, here: Option<&SystemId>) -> Link {
    let same = section.below_system().is_some() && section.is_for(who, Some(id));
    let to = if same { section } else { Section::Overview };
    Link { path: to.path(Some(id)), text: name.to_owned(), icon: Icon::new("check"), current: here == Some(id) }
}

fn groups(who: &Principal, section: Section, place: Option<&Place>) -> Vec<Group> {
    let links = |sections: &[Section], system: Option<&SystemId>| -> Vec<Link> {
        let open = sections.iter().filter(|one| one.is_for(who, system));
        // Who only decides on requests for access has no list of users.
        let only_requests = !who.may(Permission::UsersRead, None);
        let link = |one: &Section| Link {
            path: match one {
                Section::Users if only_requests => "/console/access-requests".to_owned(),
                one => one.path(system),
            },
            text: one.text().to_owned(),
            icon: Icon::new(one.icon()),
            current: *one == section,
        };
        open.map(link).collect()
    };
    let mut groups = vec![Group { title: None, links: links(&[Section::Home], None) }];
    if let Some(place) = place {
        let mut of_system = vec![Section::Overview];
        of_system.extend(OF_SYSTEM);
        groups.push(Group { title: Some(place.name.clone()), links: links(&of_system, Some(&place.id)) });
    }
    groups.push(Group { title: Some("Account".to_owned()), links: links(&OF_ACCOUNT, None) });
    groups.retain(|group| !group.links.is_empty());
    groups
}

/// A small drawing, as HTML. It only repeats what words say, so screen readers pass over it.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Icon(&'static str);

impl Icon {
    /// The drawing of that name; none of an unknown one.
    pub(in crate::http) fn new(name: &str) -> Self {
        Self(icons::drawing(name))
    }
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg class=\"icon\" viewBox=\"0 0 20 20\" aria-hidden=\"true\">{}</svg>", self.0)
    }
}

// Its text is one of the constants in `icons`.
impl HtmlSafe for Icon {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_initials() {
        for (name, letters) in [("Ann Bell", "AB"), ("ann@x.example", "AX"), ("", ""), ("-- o'neil", "ON")] {
            assert_eq!(initials(name), letters);
        }
    }

    #[test]
    fn every_section_has_its_drawing() {
        for section in [Section::Home].iter().chain(&OF_SYSTEM).chain(&OF_ACCOUNT) {
            assert!(!icons::drawing(section.icon()).is_empty(), "{section:?}");
        }
    }
}
